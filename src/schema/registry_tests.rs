//! What changes of source tables do to sink tables, per behaviour, list and route.

use std::sync::Arc;

use cdc_api::{
    Column, ErrorKind, LogicalType, SchemaChange, SchemaChangeKind, TableId, TableSchema,
};

use super::{Registry, RegistryState, Rules, SinkChange};
use crate::{
    definition::{SchemaChangeBehavior as Behavior, SchemaChangeFilter},
    route::{RouteMode, RouteRule, RouteTable},
};

use LogicalType::{BigInt, Int, String as Text};

fn table(id: &str, version: u32, columns: &[(u32, &str, LogicalType, bool)]) -> Arc<TableSchema> {
    let column = |(id, name, logical, nullable): &(u32, &str, LogicalType, bool)| Column {
        id: *id,
        name: (*name).to_owned(),
        logical: logical.clone(),
        nullable: *nullable,
        comment: None,
        default: None,
        generated: false,
        source_type: String::new(),
    };
    let columns = columns.iter().map(column).collect();
    Arc::new(TableSchema::new(TableId::parse(id).unwrap(), version, columns, vec![0]).unwrap())
}

fn registry(behavior: Behavior, filter: SchemaChangeFilter, routes: &[(&str, &str)]) -> Registry {
    let rules = routes.iter().map(|(from, to)| RouteRule::new(from, to, None).unwrap()).collect();
    let routes = RouteTable::new(rules, RouteMode::AllMatch);
    Registry::new(routes, Rules { behavior, filter }, RegistryState::default())
}

/// The sink's columns behind these changes, `?` for nullable, with its generation when it was emptied.
fn shown(registry: &Registry, sink: &str) -> String {
    let schema = registry.sink_schema(&TableId::parse(sink).unwrap()).unwrap();
    let columns = schema.columns().iter().map(|column| {
        format!("{} {}{}", column.name, column.logical, if column.nullable { "?" } else { "" })
    });
    let generation = match schema.generation() {
        0 => String::new(),
        emptied => format!(" g{emptied}"),
    };
    columns.collect::<Vec<_>>().join(", ") + &generation
}

fn before() -> Arc<TableSchema> {
    table("d.t", 1, &[(0, "id", Int, false), (1, "a", Int, false), (2, "b", Int, true)])
}

/// `a` is gone, `b` is `c` and wider, `x` is new and first.
fn after() -> Arc<TableSchema> {
    let columns = [(3, "x", Text, true), (0, "id", Int, false), (2, "c", BigInt, true)];
    let schema = table("d.t", 2, &columns);
    Arc::new(schema.with_columns(schema.columns().to_vec(), vec![1], Vec::new()).unwrap())
}

fn altered(registry: &mut Registry) -> Vec<SinkChange> {
    registry.change(&SchemaChange::Create(before())).unwrap();
    registry.change(&SchemaChange::Alter { before: before(), after: after() }).unwrap()
}

#[track_caller]
fn check(behavior: Behavior, expected: &str) -> Vec<SinkChange> {
    let mut registry = registry(behavior, SchemaChangeFilter::default(), &[]);
    let changes = altered(&mut registry);
    assert_eq!(shown(&registry, "d.t"), expected);
    changes
}

#[test]
fn behaviours_change_columns_as_they_say() {
    for behavior in [Behavior::Evolve, Behavior::TryEvolve] {
        let changes = check(behavior, "x STRING?, id INT, c BIGINT?");
        assert!(!changes[0].is_additive && !changes[0].is_quiet);
        assert_eq!(
            changes[0].kinds,
            ["add.column", "alter.column.type", "drop.column", "rename.column"]
        );
    }
    let changes = check(Behavior::Lenient, "id INT, a INT?, b INT?, c BIGINT?, x STRING?");
    assert!(changes[0].is_additive, "nothing goes away");
    // Rows lack `a`: it may be null, which the target is not asked about.
    let changes = check(Behavior::Ignore, "id INT, a INT?, b INT?");
    assert!(changes[0].is_quiet);
}

#[test]
fn exception_ends_the_run_at_any_change_but_a_new_table() {
    let mut registry = registry(Behavior::Exception, SchemaChangeFilter::default(), &[]);
    assert_eq!(registry.change(&SchemaChange::Create(before())).unwrap().len(), 1);
    let change = SchemaChange::Alter { before: before(), after: after() };
    assert_eq!(*registry.change(&change).unwrap_err().kind(), ErrorKind::Operator);
}

#[test]
fn lists_choose_kinds_and_exclude_is_stronger() {
    let only = |include: &[SchemaChangeKind], exclude: Option<&[SchemaChangeKind]>| {
        let filter = SchemaChangeFilter {
            include: Some(include.to_vec()),
            exclude: exclude.map(<[_]>::to_vec),
        };
        let mut registry = registry(Behavior::Evolve, filter, &[]);
        altered(&mut registry);
        shown(&registry, "d.t")
    };
    use SchemaChangeKind::{AddColumn, DropColumn};
    assert_eq!(only(&[AddColumn], None), "x STRING?, id INT, a INT?, b INT?");
    assert_eq!(only(&[AddColumn, DropColumn], Some(&[AddColumn])), "id INT, b INT?");
}

#[test]
fn a_table_is_emptied_by_truncate_only_where_that_is_let_through_and_always_when_it_begins_anew() {
    for (behavior, truncated) in [(Behavior::Evolve, " g1"), (Behavior::Lenient, "")] {
        let mut registry = registry(behavior, SchemaChangeFilter::default(), &[]);
        registry.change(&SchemaChange::Create(before())).unwrap();
        let changes = registry.change(&SchemaChange::Truncate(before())).unwrap();
        assert_eq!(changes.len(), truncated.len().min(1));
        let columns = "id INT, a INT, b INT?";
        assert_eq!(shown(&registry, "d.t"), format!("{columns}{truncated}"));
        let recreate = SchemaChange::Recreate { before: before(), after: before() };
        assert!(!registry.change(&recreate).unwrap()[0].is_additive);
        let generation = if truncated.is_empty() { 1 } else { 2 };
        assert_eq!(shown(&registry, "d.t"), format!("{columns} g{generation}"));
        // A table that comes back under its name finds the rows of the one that was dropped.
        registry.change(&SchemaChange::Drop(before())).unwrap();
        registry.change(&SchemaChange::Create(before())).unwrap();
        assert_eq!(shown(&registry, "d.t"), format!("{columns} g{}", generation + 1));
    }
}

#[test]
fn merged_tables_only_get_wider_and_survive_their_shards() {
    let mut registry =
        registry(Behavior::Evolve, SchemaChangeFilter::default(), &[("d.s[0-9]", "all.s")]);
    let s0 = table("d.s0", 1, &[(0, "id", Int, false), (1, "v", Int, false)]);
    let s1 = table("d.s1", 1, &[(0, "id", BigInt, false), (1, "more", Text, false)]);
    registry.change(&SchemaChange::Create(Arc::clone(&s0))).unwrap();
    let changes = registry.change(&SchemaChange::Create(Arc::clone(&s1))).unwrap();
    assert!(changes[0].is_additive);
    assert_eq!(shown(&registry, "all.s"), "id BIGINT, v INT?, more STRING?");
    for change in [SchemaChange::Truncate(Arc::clone(&s0)), SchemaChange::Drop(Arc::clone(&s1))] {
        assert!(registry.change(&change).unwrap().is_empty());
    }
    let without = table("d.s0", 2, &[(0, "id", Int, false)]);
    let alter = SchemaChange::Alter { before: s0, after: without };
    assert!(registry.change(&alter).unwrap().is_empty(), "nothing is dropped");
    assert_eq!(shown(&registry, "all.s"), "id BIGINT, v INT?, more STRING?");
}

#[test]
fn a_rejected_change_leaves_the_sink_as_it_was_under_try_evolve_alone() {
    let mut lives = registry(Behavior::TryEvolve, SchemaChangeFilter::default(), &[]);
    let changes = altered(&mut lives);
    lives.reject(&changes[0].change, "no").unwrap();
    assert_eq!(shown(&lives, "d.t"), "id INT, a INT?, b INT?");
    let mut ends = registry(Behavior::Evolve, SchemaChangeFilter::default(), &[]);
    let changes = altered(&mut ends);
    assert_eq!(*ends.reject(&changes[0].change, "no").unwrap_err().kind(), ErrorKind::Operator);
}

#[test]
fn a_registry_made_from_its_state_goes_on_the_same_and_refuses_other_routes() {
    let filter = SchemaChangeFilter::default;
    let mut first = registry(Behavior::Evolve, filter(), &[]);
    first.change(&SchemaChange::Create(before())).unwrap();
    let text = serde_json::to_string(&first.state()).unwrap();
    let state: RegistryState = serde_json::from_str(&text).unwrap();
    assert_eq!(state, first.state());
    let again = |routes: &[(&str, &str)]| {
        let rules = routes.iter().map(|(from, to)| RouteRule::new(from, to, None).unwrap());
        let routes = RouteTable::new(rules.collect(), RouteMode::AllMatch);
        Registry::new(routes, Rules { behavior: Behavior::Evolve, filter: filter() }, state.clone())
    };
    let mut second = again(&[]);
    assert!(second.resumed(&before()).unwrap().is_empty());
    let change = SchemaChange::Alter { before: before(), after: after() };
    assert_eq!(second.change(&change).unwrap(), first.change(&change).unwrap());
    assert_eq!(second.state(), first.state());
    let error = again(&[("d.t", "other.t")]).resumed(&before()).unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::Operator);
}
