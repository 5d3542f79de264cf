//! `${NAME}`, `${NAME:-default}` and `${file:/path}` inside scalars; `$${` is a plain `${`.
//!
//! Substitution works on a scalar's text, never on the file's: what a variable holds cannot become a key, and every
//! fault keeps its place.

use std::path::{Path, PathBuf};

use cdc_api::options::names_a_secret;

use super::tree::{Scalar, Substitution};

/// The longest file that `${file:…}` reads.
const SECRET_FILE_BYTES_MAX: u64 = 64 << 10;

/// Where variables and secret files come from; a test has its own.
pub trait Environment {
    /// A variable's value; none when it is not set or is not text.
    fn variable(&self, name: &str) -> Option<String>;
    /// A file's text.
    ///
    /// # Errors
    /// Why it cannot be read, in words.
    fn file(&self, path: &Path) -> Result<String, String>;
}

/// The process's own variables and files.
#[derive(Debug, Clone, Copy)]
pub struct ProcessEnvironment;

impl Environment for ProcessEnvironment {
    fn variable(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }

    fn file(&self, path: &Path) -> Result<String, String> {
        use std::io::Read as _;
        let file = std::fs::File::open(path).map_err(|error| error.to_string())?;
        let mut bytes = Vec::new();
        file.take(SECRET_FILE_BYTES_MAX + 1)
            .read_to_end(&mut bytes)
            .map_err(|error| error.to_string())?;
        if bytes.len() as u64 > SECRET_FILE_BYTES_MAX {
            return Err(format!("it is larger than {} KiB", SECRET_FILE_BYTES_MAX >> 10));
        }
        String::from_utf8(bytes).map_err(|_| "it is not UTF-8 text".to_owned())
    }
}

/// What is wrong with a reference: byte offset and length in the scalar's text, message, hint.
pub(super) struct ReferenceFault {
    pub(super) offset: usize,
    pub(super) length: usize,
    pub(super) message: String,
    pub(super) hint: Option<String>,
}

/// Replaces every reference of the scalar. Paths are relative to `folder`.
///
/// # Errors
/// Every reference that cannot be resolved.
pub(super) fn substitute(
    scalar: &mut Scalar,
    folder: &Path,
    environment: &dyn Environment,
) -> Result<(), Vec<ReferenceFault>> {
    if !scalar.text.contains("${") {
        return Ok(());
    }
    let mut faults = Vec::new();
    let mut out = String::with_capacity(scalar.text.len());
    let mut found = Substitution::None;
    let mut rest = scalar.text.as_str();
    while let Some(at) = rest.find("${") {
        let before = &rest[..at];
        if let Some(before) = before.strip_suffix('$') {
            out.push_str(before);
            out.push_str("${");
            rest = &rest[at + 2..];
            found = found_at_least(found, Substitution::Plain);
            continue;
        }
        out.push_str(before);
        let offset = scalar.text.len() - rest.len() + at;
        let Some(end) = rest[at..].find('}') else {
            faults.push(ReferenceFault {
                offset,
                length: 2,
                message: "`${` has no closing `}`".to_owned(),
                hint: Some("write `$${` for a plain `${`".to_owned()),
            });
            break;
        };
        let reference = &rest[at + 2..at + end];
        match resolve(reference, folder, environment) {
            Ok((text, secret)) => {
                out.push_str(&text);
                let kind = if secret { Substitution::Secret } else { Substitution::Plain };
                found = found_at_least(found, kind);
            }
            Err((message, hint)) => {
                faults.push(ReferenceFault { offset, length: end + 1, message, hint });
            }
        }
        rest = &rest[at + end + 1..];
    }
    if !faults.is_empty() {
        return Err(faults);
    }
    out.push_str(rest);
    scalar.text = out;
    scalar.substitution = found;
    Ok(())
}

fn found_at_least(before: Substitution, now: Substitution) -> Substitution {
    if before == Substitution::Secret { before } else { now }
}

/// The text of one reference and whether it may be printed.
fn resolve(
    reference: &str,
    folder: &Path,
    environment: &dyn Environment,
) -> Result<(String, bool), (String, Option<String>)> {
    if let Some(path) = reference.strip_prefix("file:") {
        let path: PathBuf = folder.join(path);
        return match environment.file(&path) {
            Ok(text) => Ok((text.trim_end_matches(['\n', '\r']).to_owned(), true)),
            Err(why) => Err((format!("file `{}` cannot be read: {why}", path.display()), None)),
        };
    }
    let (name, default) = match reference.split_once(":-") {
        Some((name, default)) => (name, Some(default)),
        None => (reference, None),
    };
    let word = !name.starts_with(|c: char| c.is_ascii_digit())
        && !name.is_empty()
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if !word {
        return Err((
            format!("`${{{name}}}` is not the name of a variable"),
            Some("write ${NAME}, ${NAME:-default} or ${file:/path}; `$${` is a plain `${`".into()),
        ));
    }
    let value = environment.variable(name);
    match (value, default) {
        (Some(value), None) => Ok((value, names_a_secret(name))),
        (Some(value), Some(_)) if !value.is_empty() => Ok((value, names_a_secret(name))),
        (_, Some(default)) => Ok((default.to_owned(), names_a_secret(name))),
        (None, None) => Err((
            format!("environment variable `{name}` is not set"),
            Some(format!("set it, or give a default: ${{{name}:-...}}")),
        )),
    }
}

#[cfg(test)]
mod tests {
    use saphyr_parser::ScalarStyle;

    use super::*;

    struct Fixed;
    impl Environment for Fixed {
        fn variable(&self, name: &str) -> Option<String> {
            [
                ("HOST", "db1"),
                ("DB_PASSWORD", "hunter2"),
                ("EMPTY", ""),
                ("SNEAKY", "a: b\n${HOST}"),
            ]
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, value)| (*value).to_owned())
        }
        fn file(&self, path: &Path) -> Result<String, String> {
            match path.to_str() {
                Some("/run/secrets/pw") => Ok("s3cret\n".into()),
                Some("base/pw") => Ok("near".into()),
                _ => Err("no such file".into()),
            }
        }
    }

    fn run(text: &str) -> Result<(String, Substitution), Vec<ReferenceFault>> {
        let mut scalar = Scalar {
            text: text.into(),
            style: ScalarStyle::Plain,
            substitution: Substitution::None,
        };
        substitute(&mut scalar, Path::new("base"), &Fixed)?;
        Ok((scalar.text, scalar.substitution))
    }

    #[track_caller]
    fn gives(text: &str, expected: &str, substitution: Substitution) {
        match run(text) {
            Ok(found) => assert_eq!(found, (expected.to_owned(), substitution)),
            Err(faults) => panic!("{}", faults[0].message),
        }
    }

    #[test]
    fn references_are_replaced_once() {
        gives("plain $1 $HOST {x}", "plain $1 $HOST {x}", Substitution::None);
        gives("${HOST}:${PORT:-3306}", "db1:3306", Substitution::Plain);
        gives("${EMPTY:-x}${EMPTY}", "x", Substitution::Plain);
        gives("${DB_PASSWORD}${HOST}", "hunter2db1", Substitution::Secret);
        gives("${file:/run/secrets/pw}", "s3cret", Substitution::Secret);
        gives("${file:pw}", "near", Substitution::Secret);
        gives("$${HOST}", "${HOST}", Substitution::Plain);
        gives("${SNEAKY}", "a: b\n${HOST}", Substitution::Plain);
    }

    #[test]
    fn every_bad_reference_is_a_fault_at_its_place() {
        let faults = run("x${NOPE}y${file:nope}${1a}${").expect_err("faults");
        let seen: Vec<(usize, usize, &str)> = faults
            .iter()
            .map(|fault| (fault.offset, fault.length, fault.message.as_str()))
            .collect();
        assert_eq!(
            seen,
            [
                (1, 7, "environment variable `NOPE` is not set"),
                (9, 12, "file `base/nope` cannot be read: no such file"),
                (21, 5, "`${1a}` is not the name of a variable"),
                (26, 2, "`${` has no closing `}`"),
            ]
        );
    }
}
