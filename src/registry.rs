//! The connectors of this build: the only place that knows them. Each is behind the cargo feature of its name.

use cdc_api::{ConnectorSpec, EventSinkProvider, EventSourceProvider, OptionFault, Role};

use crate::definition::{ConnectorBlock, Connectors};

/// Connectors that this project has, and the features that bring them in.
const OURS: [(&str, Role); 4] = [
    ("mysql", Role::Source),
    ("kafka", Role::Sink),
    ("parquet", Role::Sink),
    ("values", Role::Sink),
];

/// Connectors of Flink CDC whose names its users bring along.
const OTHERS: [(&str, Role); 18] = [
    ("db2", Role::Source),
    ("mongodb", Role::Source),
    ("oceanbase", Role::Source),
    ("oracle", Role::Source),
    ("postgres", Role::Source),
    ("sqlserver", Role::Source),
    ("tidb", Role::Source),
    ("values", Role::Source),
    ("doris", Role::Sink),
    ("elasticsearch", Role::Sink),
    ("fluss", Role::Sink),
    ("hudi", Role::Sink),
    ("iceberg", Role::Sink),
    ("maxcompute", Role::Sink),
    ("mysql", Role::Sink),
    ("oceanbase", Role::Sink),
    ("paimon", Role::Sink),
    ("starrocks", Role::Sink),
];

/// The declarations of all connectors, sources first.
pub fn specs() -> Vec<&'static ConnectorSpec> {
    vec![
        #[cfg(feature = "mysql")]
        &cdc_mysql::SPEC,
        #[cfg(feature = "kafka")]
        &cdc_kafka::SPEC,
        #[cfg(feature = "parquet")]
        &cdc_parquet::SPEC,
        #[cfg(feature = "values")]
        &cdc_values::SPEC,
    ]
}

/// The source of a checked block.
///
/// # Errors
/// What the connector says of its options; none for a block that [`crate::definition::read_file`] gave.
pub fn source(block: &ConnectorBlock) -> Result<Box<dyn EventSourceProvider>, Vec<OptionFault>> {
    match block.connector.as_str() {
        #[cfg(feature = "mysql")]
        "mysql" => cdc_mysql::provider(&block.options),
        other => Err(unknown(Role::Source, other)),
    }
}

/// The sink of a checked block.
///
/// # Errors
/// As [`source`].
pub fn sink(block: &ConnectorBlock) -> Result<Box<dyn EventSinkProvider>, Vec<OptionFault>> {
    match block.connector.as_str() {
        #[cfg(feature = "kafka")]
        "kafka" => cdc_kafka::provider(&block.options),
        #[cfg(feature = "parquet")]
        "parquet" => cdc_parquet::provider(&block.options),
        #[cfg(feature = "values")]
        "values" => cdc_values::provider(&block.options),
        other => Err(unknown(Role::Sink, other)),
    }
}

fn unknown(role: Role, name: &str) -> Vec<OptionFault> {
    let why = absence(role, name).unwrap_or_else(|| format!("there is no connector `{name}`"));
    vec![OptionFault::new("type", why)]
}

/// Why a connector that a user may have heard of is not here.
fn absence(role: Role, name: &str) -> Option<String> {
    let is = |known: &(&str, Role)| *known == (name, role);
    if specs().iter().any(|spec| (spec.name, spec.role) == (name, role)) {
        None
    } else if OURS.iter().any(is) {
        Some(format!(
            "connector `{name}` is not in this build; it needs the cargo feature `{name}`"
        ))
    } else if OTHERS.iter().any(is) {
        let role = if role == Role::Source { "source" } else { "sink" };
        Some(format!("{role} connector `{name}` is not supported yet"))
    } else {
        None
    }
}

/// The registry as the pipeline file's reader sees it.
#[derive(Debug, Clone, Copy)]
pub struct Registry;

impl Connectors for Registry {
    fn specs(&self) -> Vec<&'static ConnectorSpec> {
        specs()
    }

    fn absence(&self, role: Role, name: &str) -> Option<String> {
        absence(role, name)
    }

    fn faults(&self, role: Role, block: &ConnectorBlock) -> Vec<OptionFault> {
        match role {
            Role::Source => source(block).err().unwrap_or_default(),
            Role::Sink => sink(block).err().unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn declarations_are_sound() {
        for spec in specs() {
            assert!(OURS.contains(&(spec.name, spec.role)), "{}", spec.name);
            assert!(!spec.summary.is_empty());
            for (index, option) in spec.options.iter().enumerate() {
                let place = format!("{}.{}", spec.name, option.key);
                assert!(!option.meaning.is_empty(), "{place} has no meaning");
                assert!(
                    !(option.required && option.default.is_some()),
                    "{place} is required with a default"
                );
                let twice =
                    spec.options.iter().skip(index + 1).any(|other| other.key == option.key);
                assert!(!twice, "{place} is declared twice");
                if let Some(default) = option.default {
                    cdc_api::options::check_value(option, option.key, default).expect(&place);
                }
            }
        }
    }

    #[test]
    fn absent_connectors_are_told_apart() {
        let why = absence(Role::Sink, "doris").unwrap();
        assert!(why.contains("not supported yet"), "{why}");
        assert_eq!(absence(Role::Sink, "kafak"), None);
        for (name, role) in OURS {
            let built = specs().iter().any(|spec| (spec.name, spec.role) == (name, role));
            assert_eq!(absence(role, name).is_none(), built, "{name}");
        }
    }
}
