//! Texts: positions count characters from 1.

use std::borrow::Cow;

use cdc_api::LogicalType as L;

use crate::{
    columns::{self, Columns},
    eval::Col,
    node::{Bad, Built, Cx, Function, Node, Param, lenient, strict},
    text,
    value::Value,
};

const fn function(
    name: &'static str,
    params: &'static [Param],
    required: usize,
    build: fn(&[Node], Cx) -> Result<Built, Bad>,
) -> Function {
    Function { name, params, required, variadic: false, build }
}

use Param::{Any, Blob, Integer, Text};

pub(super) const FUNCTIONS: &[Function] = &[
    Function { name: "CONCAT", params: &[Any], required: 1, variadic: true, build: concat },
    Function {
        name: "CONCAT_WS",
        params: &[Text, Any],
        required: 1,
        variadic: true,
        build: concat_ws,
    },
    function("CHAR_LENGTH", &[Text], 1, char_length),
    function("CHARACTER_LENGTH", &[Text], 1, char_length),
    function("UPPER", &[Text], 1, upper),
    function("LOWER", &[Text], 1, lower),
    function("TRIM", &[Text, Text], 1, |_, _| trim(true, true)),
    function("TRIM_BOTH", &[Text, Text], 1, |_, _| trim(true, true)),
    function("TRIM_LEADING", &[Text, Text], 1, |_, _| trim(true, false)),
    function("TRIM_TRAILING", &[Text, Text], 1, |_, _| trim(false, true)),
    function("BTRIM", &[Text, Text], 1, |_, _| trim(true, true)),
    function("LTRIM", &[Text, Text], 1, |_, _| trim(true, false)),
    function("RTRIM", &[Text, Text], 1, |_, _| trim(false, true)),
    function("SUBSTR", &[Text, Integer, Integer], 2, substring),
    function("SUBSTRING", &[Text, Integer, Integer], 2, substring),
    function("OVERLAY", &[Text, Text, Integer, Integer], 3, overlay),
    function("POSITION", &[Text, Text, Integer], 2, |_, _| locate(0, 1)),
    function("LOCATE", &[Text, Text, Integer], 2, |_, _| locate(0, 1)),
    function("INSTR", &[Text, Text], 2, |_, _| locate(1, 0)),
    function("LPAD", &[Text, Integer, Text], 2, |_, _| pad(true)),
    function("RPAD", &[Text, Integer, Text], 2, |_, _| pad(false)),
    function("REPLACE", &[Text, Text, Text], 3, replace),
    function("REPEAT", &[Text, Integer], 2, repeat),
    function("REVERSE", &[Text], 1, reverse),
    function("LEFT", &[Text, Integer], 2, left),
    function("RIGHT", &[Text, Integer], 2, right),
    function("STARTSWITH", &[Blob, Blob], 2, starts_with),
    function("ENDSWITH", &[Blob, Blob], 2, ends_with),
    function("TO_BASE64", &[Blob], 1, to_base64),
    function("FROM_BASE64", &[Text], 1, from_base64),
    function("FROM_BASE64_BINARY", &[Text], 1, from_base64_binary),
];

/// The longest text that one function may build.
const LIMIT: usize = 1 << 26;

fn str_of<'v>(args: &'v [Value<'_>], at: usize) -> &'v str {
    if let Some(Value::Text(text)) = args.get(at) { text } else { "" }
}

fn int_of(args: &[Value<'_>], at: usize) -> Option<i64> {
    if let Some(Value::Int(n)) = args.get(at) { Some(*n) } else { None }
}

/// The part of a text between two byte places, borrowed where the text is.
fn part<'a>(value: &Value<'a>, from: usize, to: usize) -> Value<'a> {
    match value {
        Value::Text(Cow::Borrowed(text)) => Value::text(text.get(from..to).unwrap_or("")),
        Value::Text(Cow::Owned(text)) => Value::text(text.get(from..to).unwrap_or("").to_owned()),
        _ => Value::Null,
    }
}

/// The byte place of the character `at`, or the end.
fn byte_of(text: &str, at: usize) -> usize {
    text.char_indices().nth(at).map_or(text.len(), |(byte, _)| byte)
}

pub(super) fn within(length: usize) -> Result<(), String> {
    if length > LIMIT {
        Err(format!("a text of {length} bytes is longer than a function may build"))
    } else {
        Ok(())
    }
}

fn concat(args: &[Node], _: Cx) -> Result<Built, Bad> {
    let built = lenient(L::String, |_, args| Ok(Value::text(joined(args))))?;
    Ok(built.over(columns::joining(args)))
}

/// All values one after another; NULL is the word `null`.
pub(crate) fn joined(args: &[Value<'_>]) -> String {
    use std::fmt::Write;
    let mut out = String::with_capacity(32);
    for arg in args {
        match arg {
            Value::Text(text) => out.push_str(text),
            Value::Int(number) => {
                let _ = write!(out, "{number}");
            }
            other => out.push_str(&text::display(other)),
        }
    }
    out
}

fn concat_ws(_: &[Node], _: Cx) -> Result<Built, Bad> {
    lenient(L::String, |_, args| {
        let Some((Value::Text(separator), rest)) = args.split_first() else {
            return Ok(Value::Null);
        };
        let present: Vec<String> =
            rest.iter().filter(|value| !value.is_null()).map(text::display).collect();
        Ok(Value::text(present.join(separator)))
    })
}

fn char_length(_: &[Node], _: Cx) -> Result<Built, Bad> {
    let built = strict(L::Int, |_, args| Ok(Value::Int(str_of(args, 0).chars().count() as i64)))?;
    Ok(built.over(Columns::total(|_, cols, _| columns::lengths(columns::strings(cols.first())?))))
}

fn upper(_: &[Node], _: Cx) -> Result<Built, Bad> {
    cased(true)
}

fn lower(_: &[Node], _: Cx) -> Result<Built, Bad> {
    cased(false)
}

fn cased(is_upper: bool) -> Result<Built, Bad> {
    let built = strict(L::String, move |_, args| {
        let text = str_of(args, 0);
        Ok(Value::text(match (is_upper, text.is_ascii()) {
            (true, true) => text.to_ascii_uppercase(),
            (true, false) => text.to_uppercase(),
            (false, true) => text.to_ascii_lowercase(),
            (false, false) => text.to_lowercase(),
        }))
    })?;
    Ok(built.over(Columns::total(move |_, cols, _| {
        columns::cased(columns::strings(cols.first())?, is_upper)
    })))
}

/// Takes characters of the second argument (blanks without it) off the ends.
fn trim(start: bool, end: bool) -> Result<Built, Bad> {
    let within = move |text: &str, set: &str| {
        let cut = |c: char| set.contains(c);
        let from = if start { text.len() - text.trim_start_matches(cut).len() } else { 0 };
        let to = if end { text.trim_end_matches(cut).len() } else { text.len() };
        from..to.max(from)
    };
    let built = strict(L::String, move |_, args| {
        let set = if args.len() > 1 { str_of(args, 1) } else { " " };
        let kept = within(str_of(args, 0), set);
        Ok(part(&args[0], kept.start, kept.end))
    })?;
    Ok(built.over(Columns::total(move |_, cols, _| {
        let set = match cols.get(1) {
            None => " ",
            Some(Col::Const(Value::Text(set))) => set,
            _ => return None,
        };
        columns::parts(columns::strings(cols.first())?, |text| text.get(within(text, set)))
    })))
}

/// The bytes of `length` characters from the character `begin`, counted from 1 or from the end.
fn characters(text: &str, begin: i64, length: usize) -> std::ops::Range<usize> {
    let is_ascii = text.is_ascii();
    let count = if is_ascii { text.len() } else { text.chars().count() } as i64;
    let start = match begin {
        0 => 0,
        n if n > 0 => n - 1,
        // From the end.
        n => count.saturating_add(n),
    };
    if start < 0 || start >= count {
        return 0..0;
    }
    let start = start as usize;
    if is_ascii {
        return start..start.saturating_add(length).min(text.len());
    }
    let from = byte_of(text, start);
    from..from + byte_of(&text[from..], length)
}

fn substring(_: &[Node], _: Cx) -> Result<Built, Bad> {
    let built = strict(L::String, |_, args| {
        let length = match int_of(args, 2) {
            Some(n) if n < 0 => {
                return Err(format!("the length of SUBSTRING must not be negative, it is {n}"));
            }
            Some(n) => usize::try_from(n).unwrap_or(usize::MAX),
            None => usize::MAX,
        };
        let kept = characters(str_of(args, 0), int_of(args, 1).unwrap_or(1), length);
        Ok(part(&args[0], kept.start, kept.end))
    })?;
    Ok(built.over(Columns::partial(|_, cols, _| {
        let fixed = |at: usize| match cols.get(at) {
            None => Some(None),
            Some(Col::Const(Value::Int(n))) => Some(Some(*n)),
            _ => None,
        };
        let (begin, length) = (fixed(1)??, fixed(2)?);
        let length = match length {
            Some(n) => usize::try_from(n).ok()?,
            None => usize::MAX,
        };
        columns::parts(columns::strings(cols.first())?, |text| {
            text.get(characters(text, begin, length))
        })
    })))
}

fn overlay(_: &[Node], _: Cx) -> Result<Built, Bad> {
    strict(L::String, |_, args| {
        let (text, new) = (str_of(args, 0), str_of(args, 1));
        let begin = int_of(args, 2).unwrap_or(1);
        let count = text.chars().count() as i64;
        if begin < 1 || begin > count {
            return Ok(args[0].clone());
        }
        let length = int_of(args, 3).unwrap_or(new.chars().count() as i64);
        let from = byte_of(text, (begin - 1) as usize);
        let end = (begin - 1).saturating_add(length);
        // A negative length reaches past the end, as upstream has it.
        let to = if length < 0 { text.len() } else { byte_of(text, end as usize) };
        Ok(Value::text(format!("{}{new}{}", &text[..from], &text[to.max(from)..])))
    })
}

/// The place of a needle in a text; which argument is which depends on the function.
fn locate(needle: usize, text: usize) -> Result<Built, Bad> {
    strict(L::Int, move |_, args| {
        let (needle, text) = (str_of(args, needle), str_of(args, text));
        let from = int_of(args, 2).unwrap_or(1);
        if from < 1 {
            return Ok(Value::Int(0));
        }
        let from = from as usize - 1;
        let skip = byte_of(text, from);
        if skip == text.len() && from > text.chars().count() {
            return Ok(Value::Int(0));
        }
        let rest = &text[skip..];
        Ok(Value::Int(
            rest.find(needle).map_or(0, |at| (from + rest[..at].chars().count() + 1) as i64),
        ))
    })
}

fn pad(left: bool) -> Result<Built, Bad> {
    strict(L::String, move |_, args| {
        let text = str_of(args, 0);
        let fill = if args.len() > 2 { str_of(args, 2) } else { " " };
        let Some(length) = int_of(args, 1).and_then(|n| usize::try_from(n).ok()) else {
            return Ok(Value::Null);
        };
        within(length.saturating_mul(4))?;
        let count = text.chars().count();
        if count >= length {
            return Ok(part(&args[0], 0, byte_of(text, length)));
        }
        if fill.is_empty() {
            return Ok(Value::Null);
        }
        let fill: String = fill.chars().cycle().take(length - count).collect();
        Ok(Value::text(if left { fill + text } else { text.to_owned() + &fill }))
    })
}

fn replace(_: &[Node], _: Cx) -> Result<Built, Bad> {
    strict(L::String, |_, args| {
        let (text, old, new) = (str_of(args, 0), str_of(args, 1), str_of(args, 2));
        if old.is_empty() {
            return Ok(args[0].clone());
        }
        within(text.len().saturating_add(text.matches(old).count().saturating_mul(new.len())))?;
        Ok(Value::text(text.replace(old, new)))
    })
}

fn repeat(_: &[Node], _: Cx) -> Result<Built, Bad> {
    strict(L::String, |_, args| {
        let times = usize::try_from(int_of(args, 1).unwrap_or(0)).unwrap_or(0);
        within(str_of(args, 0).len().saturating_mul(times))?;
        Ok(Value::text(str_of(args, 0).repeat(times)))
    })
}

fn reverse(_: &[Node], _: Cx) -> Result<Built, Bad> {
    strict(L::String, |_, args| Ok(Value::text(str_of(args, 0).chars().rev().collect::<String>())))
}

fn left(_: &[Node], _: Cx) -> Result<Built, Bad> {
    strict(L::String, |_, args| {
        let count = usize::try_from(int_of(args, 1).unwrap_or(0)).unwrap_or(0);
        Ok(part(&args[0], 0, byte_of(str_of(args, 0), count)))
    })
}

fn right(_: &[Node], _: Cx) -> Result<Built, Bad> {
    strict(L::String, |_, args| {
        let text = str_of(args, 0);
        let count = usize::try_from(int_of(args, 1).unwrap_or(0)).unwrap_or(0);
        let skip = text.chars().count().saturating_sub(count);
        Ok(part(&args[0], byte_of(text, skip), text.len()))
    })
}

fn bytes_of<'v>(args: &'v [Value<'_>], at: usize) -> &'v [u8] {
    match args.get(at) {
        Some(Value::Text(text)) => text.as_bytes(),
        Some(Value::Bytes(bytes)) => bytes,
        _ => &[],
    }
}

fn starts_with(_: &[Node], _: Cx) -> Result<Built, Bad> {
    strict(L::Boolean, |_, args| Ok(Value::Bool(bytes_of(args, 0).starts_with(bytes_of(args, 1)))))
}

fn ends_with(_: &[Node], _: Cx) -> Result<Built, Bad> {
    strict(L::Boolean, |_, args| Ok(Value::Bool(bytes_of(args, 0).ends_with(bytes_of(args, 1)))))
}

fn to_base64(_: &[Node], _: Cx) -> Result<Built, Bad> {
    strict(L::String, |_, args| Ok(Value::text(text::to_base64(bytes_of(args, 0)))))
}

fn decoded(args: &[Value<'_>]) -> Result<Vec<u8>, String> {
    text::from_base64(str_of(args, 0))
        .ok_or_else(|| format!("the text '{}' is not Base64", str_of(args, 0)))
}

fn from_base64(_: &[Node], _: Cx) -> Result<Built, Bad> {
    strict(L::String, |_, args| {
        let text = String::from_utf8(decoded(args)?);
        text.map(Value::text)
            .map_err(|_| "the Base64 text holds no UTF-8; use FROM_BASE64_BINARY".to_owned())
    })
}

fn from_base64_binary(_: &[Node], _: Cx) -> Result<Built, Bad> {
    strict(L::VarBinary(65_536), |_, args| Ok(Value::Bytes(decoded(args)?.into())))
}
