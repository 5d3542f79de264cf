//! GTID sets against a naive set of (uuid, tag, number), and against bytes that a server wrote.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

const UUID: &str = "3e11fa47-71ca-11e1-9e33-c80aa9429562";

fn set(text: &str) -> GtidSet {
    text.parse().unwrap()
}

fn check(text: &str, printed: &str) {
    assert_eq!(set(text).to_string(), printed);
}

#[test]
fn text_of_the_server_is_read_and_printed() {
    check("", "");
    check(&format!("{UUID}:1-5:7"), &format!("{UUID}:1-5:7"));
    check(&format!("{}:2", UUID.replace('-', "")), &format!("{UUID}:2"));
    check(&format!(" {}:7:1-5:6 ,\n", UUID.to_uppercase()), &format!("{UUID}:1-7"));
    check(
        &format!("{UUID}:1-3:Tag_1:5:2-4,\n4e11fa47-71ca-11e1-9e33-c80aa9429562:t:1"),
        &format!("{UUID}:1-3:tag_1:2-5,4e11fa47-71ca-11e1-9e33-c80aa9429562:t:1"),
    );
}

#[test]
fn anything_else_is_refused() {
    for text in [
        UUID.to_owned(),
        format!("{UUID}:"),
        format!("{UUID}:0"),
        format!("{UUID}:1-x"),
        format!("{UUID}:5-3"),
        format!("{UUID}:tag"),
        format!("{UUID}:1:tag"),
        format!("{UUID}:9tag:1"),
        format!("{UUID}:{}:1", "t".repeat(33)),
        format!("{UUID}:9223372036854775807"),
        format!("{UUID}:99999999999999999999"),
        "3e11fa47-71ca-11e1-9e33:1".to_owned(),
        "é".repeat(18) + ":1",
    ] {
        assert!(text.parse::<GtidSet>().is_err(), "{text}");
    }
}

#[test]
fn the_plain_form_is_used_without_tags_and_the_tagged_one_with() {
    let plain = set(&format!("{UUID}:1-5:7")).encode();
    assert_eq!(plain[..8], 1u64.to_le_bytes());
    assert_eq!(plain.len(), 8 + 16 + 8 + 2 * 16);
    let tagged = set(&format!("{UUID}:1-5:ab:7")).encode();
    assert_eq!(tagged[..8], [1, 2, 0, 0, 0, 0, 0, 1]);
    assert_eq!(tagged[24], 0);
    assert_eq!(tagged[8 + 16 + 1 + 8 + 16 + 16..][..3], [4, b'a', b'b']);
}

/// What MySQL 9.7.4 wrote into a PREVIOUS_GTIDS event for the set that it printed as this text.
#[test]
fn the_encoding_is_the_servers() {
    let text = "4e11fa47-71ca-11e1-9e33-c80aa9429562:9:zz:7,\nf6388354-e6ff-11f1-9bb0-02fc00000001:1-3:ab_1:1-2";
    let written = "0104000000000001\
        4e11fa4771ca11e19e33c80aa9429562 00 0100000000000000 0900000000000000 0a00000000000000\
        4e11fa4771ca11e19e33c80aa9429562 04 7a7a 0100000000000000 0700000000000000 0800000000000000\
        f6388354e6ff11f19bb002fc00000001 00 0100000000000000 0100000000000000 0400000000000000\
        f6388354e6ff11f19bb002fc00000001 08 61625f31 0100000000000000 0100000000000000 0300000000000000";
    let encoded: String = set(text).encode().iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(encoded, written.replace([' ', '\n'], ""));
}

#[test]
fn a_cut_encoding_is_refused_wherever_it_is_cut() {
    let bytes = set(&format!("{UUID}:1-5:ab:7")).encode();
    for length in 0..bytes.len() {
        assert!(GtidSet::decode(&bytes[..length]).is_err(), "{length}");
    }
    let longer = [&bytes[..], &[0]].concat();
    assert_eq!(GtidSet::decode(&longer), Err(PositionError::GtidEncoding(bytes.len())));
}

type Model = BTreeSet<(u8, u8, u64)>;

fn member() -> impl Strategy<Value = (u8, u8, u64)> {
    (0u8..2, 0u8..3, 1u64..30)
}

fn uuid(number: u8) -> [u8; 16] {
    [number; 16]
}

fn tag(number: u8) -> &'static str {
    ["", "a", "b_1"][usize::from(number)]
}

fn build(members: impl IntoIterator<Item = (u8, u8, u64)>) -> GtidSet {
    let mut set = GtidSet::default();
    for (source, label, number) in members {
        set.add(&uuid(source), tag(label), number).unwrap();
    }
    set
}

proptest! {
    #[test]
    fn a_set_is_its_members(
        ours in prop::collection::vec(member(), 0..80),
        theirs in prop::collection::vec(member(), 0..12),
    ) {
        let (mut a, b) = (build(ours.clone()), build(theirs.clone()));
        let mut model: Model = ours.into_iter().collect();
        let other: Model = theirs.into_iter().collect();
        prop_assert_eq!(a.is_empty(), model.is_empty());
        prop_assert_eq!(a.contains_set(&b), model.is_superset(&other));
        prop_assert_eq!(b.contains_set(&a), other.is_superset(&model));
        a.union(&b);
        model.extend(other);
        for source in 0..2 {
            for label in 0..3 {
                for number in 0..=30 {
                    let is_member = model.contains(&(source, label, number));
                    prop_assert_eq!(a.contains(&uuid(source), tag(label), number), is_member);
                }
            }
        }
        // Equal members are equal sets, however they came together, and print the shortest text.
        prop_assert_eq!(&build(model), &a);
        prop_assert_eq!(&set(&a.to_string()), &a);
        prop_assert_eq!(&GtidSet::decode(&a.encode()).unwrap(), &a);
    }

    #[test]
    fn no_bytes_make_decoding_panic(bytes in prop::collection::vec(any::<u8>(), 0..120)) {
        let _ = GtidSet::decode(&bytes);
    }
}
