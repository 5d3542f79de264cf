//! `connectors`: what can be connected, and every option with its type, default, class and meaning.

use std::fmt::Write as _;

use cdc_api::{ConnectorSpec, Error, OptionClass, OptionSpec, Result, Role};
use serde_json::{Value, json};

use super::Format;
use crate::{definition::PIPELINE_OPTIONS, registry};

const PIPELINE: &str = "pipeline";
const PIPELINE_SUMMARY: &str = "Options of the `pipeline:` block";

/// The text for stdout.
///
/// # Errors
/// `Config` for a name that is no connector of this build.
pub(super) fn text(name: Option<&str>, format: Format) -> Result<String> {
    let Some(name) = name else {
        return Ok(match format {
            Format::Text => overview(),
            Format::Json => pretty(registry::specs().iter().map(|spec| connector(spec)).collect()),
        });
    };
    if name == PIPELINE {
        return Ok(match format {
            Format::Text => listing(PIPELINE, PIPELINE_SUMMARY, PIPELINE_OPTIONS),
            Format::Json => pretty(PIPELINE_OPTIONS.iter().map(option).collect()),
        });
    }
    let found: Vec<_> = registry::specs().into_iter().filter(|spec| spec.name == name).collect();
    if found.is_empty() {
        let names: Vec<&str> = registry::specs().iter().map(|spec| spec.name).collect();
        return Err(Error::config(format!("there is no connector `{name}` in this build")).hint(
            format!("there are: {}, and `{PIPELINE}` for the pipeline block", names.join(", ")),
        ));
    }
    Ok(match format {
        Format::Text => {
            let listings = found.iter().map(|spec| {
                listing(&format!("{} ({})", spec.name, role(spec)), spec.summary, spec.options)
            });
            listings.collect::<Vec<_>>().join("\n")
        }
        Format::Json => pretty(found.iter().map(|spec| connector(spec)).collect()),
    })
}

fn role(spec: &ConnectorSpec) -> &'static str {
    match spec.role {
        Role::Source => "source",
        Role::Sink => "sink",
    }
}

fn overview() -> String {
    let specs = registry::specs();
    let width = specs.iter().map(|spec| spec.name.len()).max().unwrap_or(0).max(PIPELINE.len());
    let mut out = String::new();
    let rows = specs.iter().map(|spec| (spec.name, role(spec), spec.summary));
    for (name, role, summary) in rows.chain([(PIPELINE, "", PIPELINE_SUMMARY)]) {
        line(&mut out, format_args!("{name:width$}  {role:6}  {summary}"));
    }
    out + "\n`cdc-cli connectors NAME` lists the options of one\n"
}

fn listing(title: &str, summary: &str, options: &[OptionSpec]) -> String {
    let mut out = format!("{title}: {summary}\n");
    let of = |wanted: fn(&OptionClass) -> bool| -> Vec<&OptionSpec> {
        options.iter().filter(|option| wanted(&option.class)).collect()
    };
    let honoured = of(|class| *class == OptionClass::Honoured);
    if !honoured.is_empty() {
        out += "\nOptions:\n";
    }
    for option in honoured {
        let default = match (option.required, option.default) {
            (true, _) => ", required".to_owned(),
            (false, Some(default)) => format!(", default {default}"),
            (false, None) => String::new(),
        };
        line(&mut out, format_args!("  {} ({}{default})", option.key, option.ty));
        line(&mut out, format_args!("      {}", option.meaning));
    }
    let no_effect = of(|class| matches!(class, OptionClass::NoEffect(_)));
    reasons(&mut out, "Accepted, without effect:", &no_effect);
    let refused = of(|class| matches!(class, OptionClass::Refused(_)));
    reasons(&mut out, "Refused:", &refused);
    out
}

fn reasons(out: &mut String, title: &str, options: &[&OptionSpec]) {
    if options.is_empty() {
        return;
    }
    line(out, format_args!("\n{title}"));
    let width = options.iter().map(|option| option.key.len()).max().unwrap_or(0);
    for option in options {
        let (OptionClass::NoEffect(why) | OptionClass::Refused(why)) = option.class else {
            continue;
        };
        line(out, format_args!("  {:width$}  {why}", option.key));
    }
}

fn connector(spec: &ConnectorSpec) -> Value {
    json!({
        "name": spec.name,
        "role": role(spec),
        "summary": spec.summary,
        "options": spec.options.iter().map(option).collect::<Vec<_>>(),
    })
}

fn option(option: &OptionSpec) -> Value {
    let (class, reason) = match option.class {
        OptionClass::Honoured => ("honoured", None),
        OptionClass::NoEffect(why) => ("no-effect", Some(why)),
        OptionClass::Refused(why) => ("refused", Some(why)),
    };
    json!({
        "key": option.key,
        "type": option.ty.to_string(),
        "required": option.required,
        "default": option.default,
        "class": class,
        "reason": reason,
        "meaning": option.meaning,
    })
}

/// Printing a value that was just made cannot fail.
fn pretty(values: Vec<Value>) -> String {
    format!("{:#}\n", Value::Array(values))
}

/// Writing into a text cannot fail.
fn line(out: &mut String, arguments: std::fmt::Arguments<'_>) {
    let _ = out.write_fmt(arguments);
    out.push('\n');
}

#[cfg(test)]
mod tests {
    use cdc_api::OptionType;

    use super::*;

    #[test]
    fn a_listing_shows_all_three_classes() {
        let options = [
            OptionSpec::new("hostname", OptionType::Text, "Address of the server.").required(),
            OptionSpec::new("port", OptionType::Integer { min: 1, max: 65535 }, "Its port.")
                .default("3306"),
            OptionSpec::new(
                "mode",
                OptionType::OneOf(&["preferred", "disabled", "required"]),
                "TLS.",
            )
            .default("preferred"),
            OptionSpec::new("pool", OptionType::Text, "").no_effect("there is no pool"),
            OptionSpec::new("column.*", OptionType::Text, "").refused("it would change rows"),
        ];
        insta::assert_snapshot!(listing("mysql (source)", "Reads MySQL.", &options), @"
        mysql (source): Reads MySQL.

        Options:
          hostname (text, required)
              Address of the server.
          port (integer 1 to 65535, default 3306)
              Its port.
          mode (preferred | disabled | required, default preferred)
              TLS.

        Accepted, without effect:
          pool  there is no pool

        Refused:
          column.*  it would change rows
        ");
    }

    #[test]
    fn every_name_that_is_listed_can_be_asked_for() {
        for spec in registry::specs() {
            assert!(overview().contains(spec.name));
            assert!(text(Some(spec.name), Format::Text).unwrap().contains("Options:"));
            let json = text(Some(spec.name), Format::Json).unwrap();
            assert!(serde_json::from_str::<Value>(&json).unwrap().is_array());
        }
        assert!(text(Some(PIPELINE), Format::Text).unwrap().contains("checkpoint.interval"));
        assert!(text(Some("nope"), Format::Text).unwrap_err().hint_text().is_some());
    }
}
