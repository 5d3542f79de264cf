//! Keys as a whole: both forms of a value, order, literals, statements, weights.

use proptest::prelude::*;

use super::{chunk::*, *};
use crate::{
    metadata::{ColumnMeta, TableMeta},
    types::Flavor,
};

pub(super) fn column(spelled: &str, collation: Option<&str>) -> ColumnMeta {
    let (name, spelled) = spelled.split_once(' ').unwrap();
    let inner = spelled.split_once('(').and_then(|(_, rest)| rest.split_once(')'));
    let arguments: Vec<u64> = inner
        .map_or("", |(inner, _)| inner)
        .split(',')
        .filter_map(|number| number.parse().ok())
        .collect();
    ColumnMeta {
        name: name.into(),
        data_type: spelled.split(['(', ' ']).next().unwrap().into(),
        column_type: spelled.into(),
        length: arguments.first().copied(),
        precision: arguments.first().map(|&number| number as u32),
        scale: arguments.get(1).map(|&number| number as u32),
        fraction: spelled
            .contains("time")
            .then(|| arguments.first().map_or(0, |&digits| digits as u8)),
        charset: collation.map(|name| name.split('_').next().unwrap().into()),
        collation: collation.map(Into::into),
        nullable: false,
        default: None,
        extra: String::new(),
        generated: String::new(),
        comment: String::new(),
    }
}

fn table(columns: Vec<ColumnMeta>, primary_key: Vec<usize>) -> TableMeta {
    TableMeta {
        id: cdc_api::TableId::new("shop", "or`ders"),
        columns,
        primary_key,
        unique_keys: vec![],
        engine: "InnoDB".into(),
        rows_estimated: None,
        comment: String::new(),
    }
}

fn codec(columns: &[(&str, Option<&str>)]) -> KeyCodec {
    let columns: Vec<_> =
        columns.iter().map(|(name, collation)| column(name, *collation)).collect();
    let all: Vec<usize> = (0..columns.len()).collect();
    KeyCodec::new(&table(columns, all.clone()), &all, Flavor::MariaDb).unwrap()
}

fn one(spelled: &str) -> KeyCodec {
    codec(&[(&format!("c {spelled}"), Some("latin1_bin"))])
}

fn encode(codec: &KeyCodec, cells: &[&[u8]], form: Form) -> Vec<u8> {
    let mut out = vec![7];
    let encoded = codec.encode(cells.iter().copied().map(Some), form, &mut out).unwrap();
    assert_eq!((encoded, out.remove(0)), (Encoded::Ready, 7));
    out
}

fn literal(codec: &KeyCodec, cells: &[&[u8]], form: Form) -> KeyLiteral {
    codec.literal(cells.iter().copied().map(Some), form).unwrap()
}

/// Both forms of one value: one key, one literal.
fn check_both(spelled: &str, log: &[u8], result: &[u8], expected: &str) -> Vec<u8> {
    let codec = one(spelled);
    let key = encode(&codec, &[log], Form::Log);
    assert_eq!(key, encode(&codec, &[result], Form::Result), "{spelled} {expected}");
    for (cell, form) in [(log, Form::Log), (result, Form::Result)] {
        assert_eq!(literal(&codec, &[cell], form).values(), [expected], "{spelled} {form:?}");
    }
    key
}

#[test]
fn both_forms_of_a_value_are_one_key_and_one_literal() {
    check_both("mediumint", &[0xfe, 0xff, 0xff], &(-2i32).to_le_bytes(), "-2");
    check_both("bigint unsigned", &[0xff; 8], &[0xff; 8], "18446744073709551615");
    check_both("decimal(5,2)", &[0x7f, 0xfe, 0xcd], b"-1.50", "-1.50");
    check_both("float", &0.1f32.to_le_bytes(), &0.1f32.to_le_bytes(), "1.0000000149011612e-1");
    check_both("year", &[0], &[0, 0], "0");
    check_both("year", &[121], &2021u16.to_le_bytes(), "2021");
    check_both("date", &[0x41, 0xc8, 0x0f], &[0xe4, 0x07, 2, 1], "'2020-02-01'");
    check_both("date", &[0, 0, 0], &[], "'0000-00-00'");
    let packed = (((2020u64 * 13 + 2) << 5 | 1) << 17 | 3 << 12 | 4 << 6 | 5) + (1 << 39);
    let mut datetime = packed.to_be_bytes()[3..].to_vec();
    datetime.extend_from_slice(&1230u16.to_be_bytes());
    let mut civil = vec![0xe4, 0x07, 2, 1, 3, 4, 5];
    civil.extend_from_slice(&123_000u32.to_le_bytes());
    check_both("datetime(3)", &datetime, &civil, "'2020-02-01 03:04:05.123000'");
    let mut timestamp = 1_580_526_245u32.to_be_bytes().to_vec();
    timestamp.extend_from_slice(&123_000u32.to_be_bytes()[1..]);
    check_both("timestamp(6)", &timestamp, &civil, "'2020-02-01 03:04:05.123000'");
    check_both("timestamp", &[0, 0, 0, 0], &[], "'0000-00-00 00:00:00.000000'");
    let time = [&[1, 34, 0, 0, 0, 22, 59, 59][..], &0u32.to_le_bytes()].concat();
    check_both("time", &[0x4b, 0x91, 0x05], &time, "TIME'-838:59:59.000000'");
    let time = [&[1, 0, 0, 0, 0, 0, 0, 0][..], &500_000u32.to_le_bytes()].concat();
    check_both("time(2)", &[0x7f, 0xff, 0xff, 0xce], &time, "TIME'-00:00:00.500000'");
    check_both("bit(12)", &[0x0f, 0xff], &[0x0f, 0xff], "4095");
    check_both("enum('a','b')", &[2], &2u64.to_le_bytes(), "2");
    check_both("set('a','b')", &[3], &3u32.to_le_bytes(), "3");
    check_both("binary(4)", b"a", b"a\0\0\0", "x'61000000'");
    check_both("varbinary(4)", b"a\0", b"a\0", "x'6100'");
    check_both("varbinary(4)", b"", b"", "x''");
    check_both("char(4)", b"a", b"a", "_latin1 x'61' COLLATE latin1_bin");
    check_both("inet4", &[1, 2], b"1.2.0.0", "CAST('1.2.0.0' AS INET4)");
}

#[test]
fn what_is_no_value_is_an_error_and_leaves_nothing() {
    let codec = codec(&[("a int", None), ("b date", None)]);
    let mut out = vec![1, 2];
    let mut check = |cells: &[Option<&[u8]>], error: KeyError| {
        assert_eq!(codec.encode(cells.iter().copied(), Form::Log, &mut out), Err(error));
        assert_eq!(out, [1, 2]);
    };
    check(&[Some(&[1, 0, 0, 0]), None], KeyError::Null("b".into()));
    check(&[Some(&[1, 0, 0, 0])], KeyError::CellCount { expected: 2, found: 1 });
    check(&[Some(&[1; 9]), None], KeyError::Malformed { column: "a".into(), length: 9 });
    check(&[Some(&[1]), Some(&[1])], KeyError::Malformed { column: "b".into(), length: 1 });
}

#[test]
fn columns_that_cannot_be_keys_are_refused_with_the_reason() {
    let check = |spelled: &str, reason: &str| {
        let table = table(vec![column(spelled, None)], vec![0]);
        let refused = KeyCodec::new(&table, &[0], Flavor::MySql).unwrap_err();
        assert!(refused.to_string().contains(reason), "{refused}");
    };
    check(
        "c text",
        "column \"c\" cannot be part of the chunk key: text can only be indexed by a prefix",
    );
    check("c blob", "prefix");
    check("c json", "no order");
    check("c point", "no order");
    check("c varchar(10)", "charset is not known");
    check("c hyperlog", "not known");
    let mut nullable = column("c int", None);
    nullable.nullable = true;
    let table = table(vec![nullable], vec![0]);
    assert!(KeyCodec::new(&table, &[0], Flavor::MySql).unwrap_err().reason.contains("NULL"));
    assert!(KeyCodec::new(&table, &[], Flavor::MySql).is_err());
    assert!(KeyCodec::new(&table, &[3], Flavor::MySql).is_err());
}

#[test]
fn a_chunk_is_read_by_expanded_comparisons() {
    let codec =
        codec(&[("a int", None), ("b`c varchar(9)", Some("utf8mb4_bin")), ("d date", None)]);
    let low = literal(&codec, &[&[1, 0, 0, 0], b"x", &[0, 0, 0]], Form::Log);
    let high = literal(&codec, &[&[2, 0, 0, 0], b"", &[0, 0, 0]], Form::Log);
    let expressions = ["`a`".to_owned(), "CAST(`e` AS UNSIGNED)".to_owned()];
    let query = ChunkQuery {
        codec: &codec,
        expressions: &expressions,
        low: Some(&low),
        high: Some(&high),
        limit: Some(10),
        lock: RowLock::Refuse,
    };
    let (x, empty) = ("_utf8mb4 x'78' COLLATE utf8mb4_bin", "_utf8mb4 x'' COLLATE utf8mb4_bin");
    assert_eq!(
        query.sql(),
        format!(
            "SELECT `a`, CAST(`e` AS UNSIGNED) FROM `shop`.`or``ders` FORCE INDEX (PRIMARY) WHERE \
             ((`a` > 1) OR (`a` = 1 AND `b``c` > {x}) OR (`a` = 1 AND `b``c` = {x} AND `d` > '0000-00-00')) AND \
             ((`a` < 2) OR (`a` = 2 AND `b``c` < {empty}) OR (`a` = 2 AND `b``c` = {empty} AND `d` <= '0000-00-00')) \
             ORDER BY `or``ders`.`a`, `or``ders`.`b``c`, `or``ders`.`d` LIMIT 10 LOCK IN SHARE MODE NOWAIT"
        )
    );
    let all = ChunkQuery { low: None, high: None, limit: None, lock: RowLock::None, ..query };
    assert!(
        all.sql().ends_with("(PRIMARY) ORDER BY `or``ders`.`a`, `or``ders`.`b``c`, `or``ders`.`d`")
    );
}

#[test]
fn keys_other_than_the_primary_one_have_no_hint() {
    let table = table(vec![column("a int", None), column("b int", None)], vec![0]);
    let codec = KeyCodec::new(&table, &[1], Flavor::MySql).unwrap();
    let high = literal(&codec, &[&[5]], Form::Result);
    let query = ChunkQuery {
        codec: &codec,
        expressions: codec.select_expressions(),
        low: None,
        high: Some(&high),
        limit: None,
        lock: RowLock::Wait,
    };
    assert_eq!(
        query.sql(),
        "SELECT `b` FROM `shop`.`or``ders` WHERE `b` <= 5 ORDER BY `or``ders`.`b` FOR SHARE"
    );
}

#[test]
fn bounds_are_compared_by_the_server_where_its_order_may_differ() {
    let codec = codec(&[("a int", None), ("b varchar(9)", Some("latin1_swedish_ci"))]);
    let keys: Vec<KeyLiteral> = [(1, b"a"), (1, b"b"), (2, b"b")]
        .iter()
        .map(|(a, b)| literal(&codec, &[&[*a], *b], Form::Result))
        .collect();
    let (a, b) =
        ("_latin1 x'61' COLLATE latin1_swedish_ci", "_latin1 x'62' COLLATE latin1_swedish_ci");
    assert_eq!(
        compare_query(&codec, keys.iter().zip(keys.iter().skip(1))).unwrap(),
        format!(
            "SELECT CASE WHEN {a} < {b} THEN -1 WHEN {a} > {b} THEN 1 ELSE 0 END, \
             CASE WHEN 1 < 2 THEN -1 WHEN 1 > 2 THEN 1 ELSE 0 END"
        )
    );
    assert!(codec.needs_order_check());
    let native = one("int");
    assert_eq!(compare_query(&native, keys.iter().zip(&keys)), None);
}

#[test]
fn a_text_waits_for_its_weight() {
    let mut codec =
        codec(&[("a int", None), ("b varchar(9)", Some("utf8mb4_general_ci")), ("c int", None)]);
    let probe = "SELECT WEIGHT_STRING(CONVERT(' ' USING utf8mb4) COLLATE utf8mb4_general_ci)";
    assert_eq!(codec.probe_query().as_deref(), Some(probe));
    let mut out = Vec::new();
    let cells: [&[u8]; 3] = [&[1, 0, 0, 0], b"\t", &[2, 0, 0, 0]];
    let encoded = codec.encode(cells.map(Some), Form::Log, &mut out).unwrap();
    let Encoded::NeedsWeights(pending) = encoded else {
        panic!("the text has a weight only at the server")
    };
    let requests: Vec<_> = pending.requests().collect();
    assert_eq!(
        codec.weight_queries(&requests),
        ["SELECT WEIGHT_STRING(_utf8mb4 x'09' COLLATE utf8mb4_general_ci) AS w"]
    );
    assert_eq!(codec.weight_expressions(), ["WEIGHT_STRING(`b`)"]);
    let not_probed = codec.weight(requests[0], Some(&[0, 9]));
    assert_eq!(not_probed, Err(KeyError::NotProbed("b".into())));
    assert_eq!(codec.learn(&[None]), Err(KeyError::Weight("b".into())));
    codec.learn(&[Some(&[0, 0x20])]).unwrap();
    assert_eq!(codec.weight(requests[0], Some(&[9])), Err(KeyError::Weight("b".into())));
    assert_eq!(codec.weight(requests[0], None), Err(KeyError::Weight("b".into())));
    let weight = codec.weight(requests[0], Some(&[0, 9])).unwrap();

    assert!(!pending.finish(|_| None, &mut out) && out.is_empty());
    assert!(pending.finish(|_| Some(&weight), &mut out));
    let expected =
        [&[0x80, 0, 0, 0, 0, 0, 0, 1][..], &[0, 9, 0, 0x20, 2], &[0x80, 0, 0, 0, 0, 0, 0, 2]]
            .concat();
    assert_eq!(out, expected);
}

#[test]
fn statements_that_weigh_are_bounded() {
    let codec = codec(&[("b varchar(768)", Some("utf8mb4_0900_ai_ci"))]);
    assert_eq!(codec.probe_query(), None);
    let pendings: Vec<_> = (0..2000u32)
        .map(|number| {
            let text = format!("{number:03072}");
            match codec.encode([Some(text.as_bytes())], Form::Log, &mut Vec::new()) {
                Ok(Encoded::NeedsWeights(pending)) => pending,
                other => panic!("{other:?}"),
            }
        })
        .collect();
    let requests: Vec<_> = pendings.iter().flat_map(PendingKey::requests).collect();
    let queries = codec.weight_queries(&requests);
    assert!(queries.iter().all(|query| query.len() < 300_000));
    assert_eq!(queries.iter().map(|query| query.matches(" AS w").count()).sum::<usize>(), 2000);
}

#[test]
fn integers_are_cut_evenly_and_others_are_probed() {
    let check = |codec: &KeyCodec, first: &[&[u8]], last: &[&[u8]]| {
        let cut = codec.first_cut(None, 4).unwrap();
        let some = |cells: &[&'static [u8]]| cells.iter().copied().map(Some).collect::<Vec<_>>();
        let leak = |cells: &[&[u8]]| {
            cells.iter().map(|cell| &*cell.to_vec().leak()).collect::<Vec<&'static [u8]>>()
        };
        cut.probes(&some(&leak(first)), &some(&leak(last))).unwrap()
    };
    let codec_of_two = codec(&[("a int", None), ("b int", None)]);
    let bounds = check(&codec_of_two, &[&[0], &[1]], &[&[100], &[9]]);
    let literals: Vec<String> = bounds
        .iter()
        .map(|probe| match probe {
            Probe::Bound(bound) => bound.literal.to_string(),
            Probe::Query(query) => panic!("{query}"),
        })
        .collect();
    assert_eq!(literals, ["(25)", "(50)", "(75)"]);
    // Behind every key that begins with 25, before every one that begins with 26.
    let Probe::Bound(bound) = &bounds[0] else { unreachable!() };
    assert!(encode(&codec_of_two, &[&[25], &[0xff, 0xff, 0xff, 0x7f]], Form::Log)[..] < *bound.key);
    assert!(encode(&codec_of_two, &[&[26], &[0, 0, 0, 0x80]], Form::Log)[..] > *bound.key);

    let probe = |spelled: &str, first: &[u8], last: &[u8]| {
        let probes = check(&one(spelled), &[first], &[last]);
        match probes.get(1) {
            Some(Probe::Query(query)) => {
                let condition = query.split("WHERE `c` >= ").nth(1).unwrap();
                condition.split(" ORDER").next().unwrap().to_owned()
            }
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(probe("double", &0f64.to_le_bytes(), &9f64.to_le_bytes()), "4.5e0");
    assert_eq!(probe("decimal(9,2)", b"1.00", b"2.00"), "1.50");
    assert_eq!(probe("date", &[], &[0xe4, 0x07, 2, 1]), "'1010-07-18'");
    assert_eq!(probe("binary(2)", &[1, 0], &[3, 0]), "x'020000000000'");
    assert_eq!(
        probe("varchar(9)", b"key-00", b"key-ff"),
        "_latin1 x'6B65792D3766' COLLATE latin1_bin"
    );
    let uuid = probe(
        "uuid",
        b"11111111-2222-4333-8444-000000000000",
        b"11111111-2222-4333-8444-ffffffffffff",
    );
    assert_eq!(uuid, "CAST('00000000-0000-4000-8000-7fffffffffff' AS UUID)");
    assert!(
        codec_of_two.first_cut(Some(100), 4).is_none() && codec_of_two.first_cut(None, 1).is_none()
    );
    let [first, last] = codec_of_two.first_cut(None, 2).unwrap().ends_queries();
    assert!(first.ends_with("ORDER BY `or``ders`.`a`, `or``ders`.`b` LIMIT 1"), "{first}");
    assert!(last.ends_with("ORDER BY `or``ders`.`a` DESC, `or``ders`.`b` DESC LIMIT 1"), "{last}");
}

proptest! {
    #[test]
    fn integers_sort(a in any::<i64>(), b in any::<i64>(), c in any::<u64>(), d in any::<u64>()) {
        let (signed, unsigned) = (one("bigint"), one("bigint unsigned"));
        let key = |codec: &KeyCodec, cell: [u8; 8]| encode(codec, &[&cell], Form::Log);
        prop_assert_eq!(
            key(&signed, a.to_le_bytes()).cmp(&key(&signed, b.to_le_bytes())), a.cmp(&b)
        );
        prop_assert_eq!(
            key(&unsigned, c.to_le_bytes()).cmp(&key(&unsigned, d.to_le_bytes())), c.cmp(&d)
        );
    }

    #[test]
    fn floats_sort(a in any::<f64>(), b in any::<f64>()) {
        prop_assume!(!a.is_nan() && !b.is_nan());
        let codec = one("double");
        let key = |value: f64| encode(&codec, &[&value.to_le_bytes()], Form::Log);
        prop_assert_eq!(Some(key(a).cmp(&key(b))), a.partial_cmp(&b));
    }

    #[test]
    fn times_of_both_forms_are_one_key(micros in -3_020_399_000_000i64..=3_020_399_000_000, digits in 0u8..=6) {
        let unit = 10i64.pow(6 - u32::from(digits));
        let micros = micros / unit * unit;
        let (magnitude, width) = (micros.unsigned_abs(), usize::from(digits.div_ceil(2)));
        let (seconds, behind) = (magnitude / 1_000_000, magnitude % 1_000_000);
        let packed = ((seconds / 3600) << 12) | ((seconds / 60 % 60) << 6) | (seconds % 60);
        let packed = ((packed << (8 * width)) | (behind / [1_000_000, 10_000, 100, 1][width])).cast_signed();
        let packed = if micros < 0 { -packed } else { packed } + (0x80_0000 << (8 * width));
        let log = &packed.to_be_bytes()[8 - 3 - width..];
        let mut result = vec![u8::from(micros < 0)];
        result.extend_from_slice(&((seconds / 86_400) as u32).to_le_bytes());
        result.extend([seconds / 3600 % 24, seconds / 60 % 60, seconds % 60].map(|part| part as u8));
        result.extend_from_slice(&(behind as u32).to_le_bytes());
        let codec = one(&format!("time({digits})"));
        let key = encode(&codec, &[log], Form::Log);
        prop_assert_eq!(&key, &encode(&codec, &[&result], Form::Result));
        prop_assert_eq!(&key[..], (micros.cast_unsigned() ^ 1 << 63).to_be_bytes());
    }

    #[test]
    fn timestamps_of_both_forms_are_one_key(seconds in 1u32.., micros in 0u32..1_000_000) {
        let civil = temporal::Civil::of_epoch(i64::from(seconds), u64::from(micros));
        let mut result = (civil.year as u16).to_le_bytes().to_vec();
        let parts = [civil.month, civil.day, civil.hour, civil.minute, civil.second];
        result.extend(parts.map(|part| part as u8));
        result.extend_from_slice(&micros.to_le_bytes());
        let mut log = seconds.to_be_bytes().to_vec();
        log.extend_from_slice(&micros.to_be_bytes()[1..]);
        let codec = one("timestamp(6)");
        prop_assert_eq!(
            encode(&codec, &[&log], Form::Log), encode(&codec, &[&result], Form::Result)
        );
        let packed = civil.pack() >> 24 | 1 << 39;
        let mut log = packed.to_be_bytes()[3..].to_vec();
        log.extend_from_slice(&micros.to_be_bytes()[1..]);
        let codec = one("datetime(6)");
        prop_assert_eq!(
            encode(&codec, &[&log], Form::Log), encode(&codec, &[&result], Form::Result)
        );
    }

    #[test]
    fn trailing_bytes_that_the_log_drops_do_not_matter(value in prop::collection::vec(0u8..3, 0..6)) {
        let stripped = value.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
        let mut whole = value.clone();
        whole.resize(6, 0);
        let codec = one("binary(6)");
        prop_assert_eq!(
            encode(&codec, &[&value[..stripped]], Form::Log), encode(&codec, &[&whole], Form::Result)
        );
    }

    #[test]
    fn composite_keys_sort_by_their_columns(
        a in (any::<i32>(), prop::collection::vec(0u8..3, 0..4), "[ a-b]{0,4}", 0u8..3),
        b in (any::<i32>(), prop::collection::vec(0u8..3, 0..4), "[ a-b]{0,4}", 0u8..3),
    ) {
        let codec = codec(&[
            ("a int", None), ("b varbinary(4)", None), ("c varchar(4)", Some("latin1_bin")), ("d tinyint", None),
        ]);
        let key = |value: &(i32, Vec<u8>, String, u8)| {
            let cells: [&[u8]; 4] =
                [&value.0.to_le_bytes(), &value.1, value.2.as_bytes(), &[value.3]];
            encode(&codec, &cells, Form::Log)
        };
        // Space is the least byte here, so padding is trimming.
        let expected = |value: &(i32, Vec<u8>, String, u8)| {
            (value.0, value.1.clone(), value.2.trim_end().to_owned(), value.3)
        };
        prop_assert_eq!(key(&a).cmp(&key(&b)), expected(&a).cmp(&expected(&b)));
    }

    #[test]
    fn no_cell_makes_a_key_panic(cell in prop::collection::vec(any::<u8>(), 0..20)) {
        for spelled in [
            "tinyint", "bigint unsigned", "decimal(65,30)", "decimal(9,9)", "float", "double", "bit(64)", "year", "date",
            "time(3)", "datetime(6)", "timestamp(1)", "binary(3)", "varbinary(9)", "char(9)", "uuid", "inet4", "inet6",
            "enum('a')", "set('a')",
        ] {
            let codec = one(spelled);
            for form in [Form::Log, Form::Result] {
                let _ = codec.encode([Some(&cell[..])], form, &mut Vec::new());
                let _ = codec.literal([Some(&cell[..])], form);
                let cut = codec.first_cut(None, 8).unwrap();
                let _ = cut.probes(&[Some(&cell)], &[Some(&[1])]);
                let _ = cut.probes(&[Some(&[1])], &[Some(&cell)]);
            }
        }
    }
}
