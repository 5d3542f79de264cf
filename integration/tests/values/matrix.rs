//! The matrix of column types: for each column its definition, its edges, random values of it, and how the server is to
//! print it.
//!
//! Comes in: which server, and whether all of the matrix is wanted or the part that every run has time for. Goes out:
//! [`Column`]s, which `table` puts into tables. Every value is an SQL expression that means the same in every sql_mode.

use cdc_integration::{Random, ServerKind};

use crate::{json, rendering::Rendering, shapes, text};

/// Makes a random value as an SQL expression.
pub(crate) type Draw = Box<dyn Fn(&mut Random) -> String + Send + Sync>;

/// A column of the matrix.
pub(crate) struct Column {
    pub(crate) name: String,
    /// What stands behind the name in CREATE TABLE, up to NULL or NOT NULL.
    pub(crate) definition: String,
    pub(crate) rendering: Rendering,
    pub(crate) edges: Vec<String>,
    pub(crate) draw: Draw,
    /// Never written to.
    pub(crate) is_generated: bool,
    /// Whether some tables may declare it NOT NULL.
    pub(crate) may_be_required: bool,
}

impl Column {
    pub(crate) fn new(
        definition: impl Into<String>,
        rendering: Rendering,
        edges: &[&str],
        draw: impl Fn(&mut Random) -> String + Send + Sync + 'static,
    ) -> Column {
        Column {
            name: String::new(),
            definition: definition.into(),
            rendering,
            edges: edges.iter().map(|edge| (*edge).to_owned()).collect(),
            draw: Box::new(draw),
            is_generated: false,
            may_be_required: true,
        }
    }

    pub(crate) fn with_edges(mut self, edges: Vec<String>) -> Column {
        self.edges.extend(edges);
        self
    }

    fn nullable(mut self) -> Column {
        self.may_be_required = false;
        self
    }
}

/// All columns that every value option treats alike.
pub(crate) fn columns(kind: ServerKind, wide: bool) -> Vec<Column> {
    let mut all = integers();
    all.extend(bits(wide));
    all.extend(floats());
    all.extend(decimals(kind));
    all.extend(dates());
    all.extend(text::columns(kind, wide));
    all.extend(binaries());
    all.extend(members());
    all.extend(shapes::columns(kind, Rendering::Geometry));
    all.extend(match kind {
        ServerKind::Mysql => mysql_only(),
        ServerKind::Mariadb => mariadb_only(),
    });
    all
}

pub(crate) fn integers() -> Vec<Column> {
    let mut all = Vec::new();
    for (name, bits) in
        [("tinyint", 8u32), ("smallint", 16), ("mediumint", 24), ("int", 32), ("bigint", 64)]
    {
        let max = (1i128 << (bits - 1)) - 1;
        let edges = [-max - 1, max, 0, 1, -1].map(|edge| edge.to_string());
        let draw = move |random: &mut Random| {
            let bits = 1 + random.below(u64::from(bits)) as u32;
            let value = (random.bits() >> (64 - bits)) as i128;
            (value - (1i128 << (bits - 1))).to_string()
        };
        all.push(Column::new(name, Rendering::Number, &[], draw).with_edges(edges.to_vec()));
        let edges = [2 * max + 1, 0, max + 1].map(|edge| edge.to_string()).to_vec();
        for attributes in ["unsigned", "unsigned zerofill"] {
            let draw = move |random: &mut Random| (random.bits() >> (64 - bits)).to_string();
            let column = Column::new(format!("{name} {attributes}"), Rendering::Number, &[], draw);
            all.push(column.with_edges(edges.clone()));
        }
    }
    let flag = |random: &mut Random| random.below(2).to_string();
    all.push(Column::new("tinyint(1)", Rendering::Number, &["0", "1"], flag));
    all.push(Column::new("boolean", Rendering::Number, &["true", "false"], flag));
    let small = |random: &mut Random| random.below(100).to_string();
    all.push(Column::new("tinyint(1) unsigned", Rendering::Number, &["255", "2", "0"], small));
    all.push(Column::new("int(5) unsigned zerofill", Rendering::Number, &["4294967295"], small));
    let year = |random: &mut Random| (1901 + random.below(255)).to_string();
    all.push(Column::new("year", Rendering::Number, &["0", "1901", "2155", "1970"], year));
    all
}

fn bits(wide: bool) -> Vec<Column> {
    let some = [1, 2, 7, 8, 9, 16, 17, 31, 32, 33, 48, 63, 64];
    (1..=64u32)
        .filter(|count| wide || some.contains(count))
        .map(|count| {
            let max = u64::MAX >> (64 - count);
            let rendering = match count {
                1 => Rendering::Number,
                _ => Rendering::Bits(count.div_ceil(8)),
            };
            let edges = [0, 1, max, max ^ 1].map(|edge| edge.to_string()).to_vec();
            Column::new(format!("bit({count})"), rendering, &[], move |random| {
                (random.bits() & max).to_string()
            })
            .with_edges(edges)
        })
        .collect()
}

fn floats() -> Vec<Column> {
    const FLOATS: &[&str] = &[
        "0",
        "-0e0",
        "1",
        "3.4028234663852886e38",
        "-3.4028234663852886e38",
        "1.1754943508222875e-38",
        "1.401298464324817e-45",
        "0.1",
        "16777217",
        "9.999999e-5",
        "123456.7",
    ];
    const DOUBLES: &[&str] = &[
        "0",
        "-0e0",
        "1",
        "1.7976931348623157e308",
        "-1.7976931348623157e308",
        "2.2250738585072014e-308",
        "5e-324",
        "0.1",
        "9007199254740993",
        "123456789.125",
        "1e15",
        "1e-7",
    ];
    let single = |random: &mut Random| loop {
        let value = f32::from_bits(random.bits() as u32);
        if value.is_finite() {
            return format!("{:e}", f64::from(value));
        }
    };
    let double = |random: &mut Random| loop {
        let value = f64::from_bits(random.bits());
        if value.is_finite() {
            return format!("{value:e}");
        }
    };
    let scaled = |random: &mut Random| {
        let sign = if random.chance(50) { "-" } else { "" };
        format!("{sign}{}.{:02}", random.below(9999), random.below(100))
    };
    let positive = |random: &mut Random| format!("{}e-{}", random.bits() >> 32, random.below(30));
    vec![
        Column::new("float", Rendering::Float, FLOATS, single),
        Column::new("float(24)", Rendering::Float, FLOATS, single),
        Column::new(
            "float unsigned",
            Rendering::Float,
            &["0", "0.1", "3.4028234663852886e38"],
            positive,
        ),
        Column::new("float(7,3)", Rendering::Float, &["0", "-0e0", "-9999.999", "0.001"], scaled),
        Column::new("double", Rendering::Float, DOUBLES, double),
        Column::new("double unsigned", Rendering::Float, &["0", "5e-324", "0.1"], positive),
        Column::new(
            "double(10,2)",
            Rendering::Float,
            &["0", "-0e0", "99999999.99", "-0.01"],
            scaled,
        ),
        Column::new("float(53)", Rendering::Float, DOUBLES, double),
    ]
}

fn decimals(kind: ServerKind) -> Vec<Column> {
    let mut shapes =
        vec![(1u64, 0u64), (5, 5), (9, 9), (10, 2), (18, 9), (19, 0), (20, 10), (38, 0), (38, 30)];
    shapes.extend([(39, 5), (60, 30), (65, 0), (65, 30)]);
    if kind == ServerKind::Mariadb {
        shapes.extend([(38, 38), (65, 38)]);
    }
    let mut all = Vec::new();
    for (precision, scale) in shapes {
        for attributes in ["", " unsigned", " zerofill"] {
            if !attributes.is_empty() && precision != 10 && precision != 65 {
                continue;
            }
            let is_signed = attributes.is_empty();
            let digits = move |digit: &mut dyn FnMut() -> u64| -> String {
                let mut text = String::new();
                for place in 0..precision {
                    if place == precision - scale {
                        text.push('.');
                    }
                    text.push(char::from(b'0' + (digit() % 10) as u8));
                }
                text
            };
            let most = digits(&mut || 9);
            let mut count = 0;
            let least = digits(&mut || {
                count += 1;
                u64::from(count == precision)
            });
            let mut edges = vec![format!("'{most}'"), format!("'{least}'"), "0".to_owned()];
            if is_signed {
                edges.extend([format!("'-{most}'"), format!("'-{least}'"), "'-0'".to_owned()]);
            }
            let draw = move |random: &mut Random| {
                let leading = random.below(precision);
                let mut place = 0;
                let text = digits(&mut || {
                    place += 1;
                    if place <= leading { 0 } else { random.bits() }
                });
                let sign = if is_signed && random.chance(50) { "-" } else { "" };
                format!("'{sign}{text}'")
            };
            let definition = format!("decimal({precision},{scale}){attributes}");
            all.push(Column::new(definition, Rendering::Number, &[], draw).with_edges(edges));
        }
    }
    all
}

/// A random calendar date, now and then one that is none.
fn date(random: &mut Random) -> String {
    let year = if random.chance(20) { random.below(10_000) } else { 1900 + random.below(200) };
    let odd = random.chance(10);
    let (month, day) = if odd {
        (random.below(13), random.below(32))
    } else {
        (1 + random.below(12), 1 + random.below(28))
    };
    format!("{year:04}-{month:02}-{day:02}")
}

fn clock(random: &mut Random) -> String {
    let (hour, minute, second) = (random.below(24), random.below(60), random.below(60));
    format!("{hour:02}:{minute:02}:{second:02}.{:06}", random.below(1_000_000))
}

fn dates() -> Vec<Column> {
    let mut all = vec![Column::new(
        "date",
        Rendering::Date,
        &[
            "'1000-01-01'",
            "'9999-12-31'",
            "'0000-00-00'",
            "'2020-00-00'",
            "'2020-01-00'",
            "'2020-00-15'",
            "'0001-01-01'",
            "'0000-01-01'",
            "'0000-03-01'",
            "'2024-02-29'",
            "'2023-02-29'",
            "'1900-02-28'",
            "'1582-10-10'",
            "'2001-02-31'",
            "'1970-01-01'",
        ],
        |random| format!("'{}'", date(random)),
    )];
    for fraction in 0..=6 {
        let name = |name: &str| match fraction {
            0 => name.to_owned(),
            digits => format!("{name}({digits})"),
        };
        all.push(Column::new(
            name("datetime"),
            Rendering::Datetime,
            &[
                "'1000-01-01 00:00:00'",
                "'9999-12-31 23:59:59'",
                "'0000-00-00 00:00:00'",
                "'2020-00-00 12:00:00'",
                "'2020-01-00 00:00:01'",
                "'1969-12-31 23:59:59.999999'",
                "'1970-01-01 00:00:00.000001'",
                "'0001-01-01 00:00:00.1'",
                "'2020-02-31 10:11:12'",
                "'9999-12-31 23:59:59.499999'",
            ],
            |random| format!("'{} {}'", date(random), clock(random)),
        ));
        all.push(
            Column::new(
                name("timestamp") + " NULL DEFAULT NULL",
                Rendering::Datetime,
                &[
                    "FROM_UNIXTIME(1)",
                    "FROM_UNIXTIME(2147483647)",
                    "'0000-00-00 00:00:00'",
                    "FROM_UNIXTIME(86400.000001)",
                    "FROM_UNIXTIME(1000000000.999999)",
                    "FROM_UNIXTIME(951782400.5)",
                ],
                |random| {
                    format!(
                        "FROM_UNIXTIME({}.{:06})",
                        1 + random.below((1 << 31) - 2),
                        random.below(1_000_000)
                    )
                },
            )
            .nullable(),
        );
        all.push(Column::new(
            name("time"),
            Rendering::Clock,
            &["'00:00:00'", "'23:59:59'", "'23:59:59.4'", "'00:00:00.000001'", "'12:34:56.789012'"],
            |random| {
                format!(
                    "'{:02}:{:02}:{:02}.{:06}'",
                    random.below(23),
                    random.below(60),
                    random.below(60),
                    random.below(1_000_000)
                )
            },
        ));
    }
    all
}

/// TIME with every value that the server has.
pub(crate) fn long_times(rendering: Rendering) -> Vec<Column> {
    (0..=6)
        .map(|fraction| {
            Column::new(
                format!("time({fraction})"),
                rendering,
                &[
                    "'-838:59:59'",
                    "'838:59:59'",
                    "'-838:59:58.999999'",
                    "'838:59:58.999999'",
                    "'-00:00:00.000001'",
                    "'-00:00:01'",
                    "'-00:00:00.9'",
                    "'00:00:00'",
                    "'24:00:00'",
                    "'-00:01:00.1'",
                    "'-23:59:59.999'",
                    "'100:00:00.5'",
                ],
                |random| {
                    let sign = if random.chance(50) { "-" } else { "" };
                    let (hour, rest) = (random.below(838), clock(random));
                    format!("'{sign}{hour}{}'", rest.get(2..).unwrap_or_default())
                },
            )
        })
        .collect()
}

/// TINYINT(1) with every value that it holds, for `treat-tinyint1-as-boolean.enabled: false`.
pub(crate) fn small_numbers() -> Vec<Column> {
    vec![Column::new(
        "tinyint(1)",
        Rendering::Number,
        &["0", "1", "2", "-1", "127", "-128"],
        |random| (random.below(256) as i64 - 128).to_string(),
    )]
}

/// Random bytes as a literal; often with bytes that something might strip.
fn bytes(random: &mut Random, length_max: u64) -> String {
    let length = random.below(length_max + 1);
    let mut literal = String::from("x'");
    for _ in 0..length {
        let byte = match random.below(4) {
            0 => 0,
            1 => b' ',
            _ => random.bits() as u8,
        };
        literal.push_str(&format!("{byte:02X}"));
    }
    literal + "'"
}

fn binaries() -> Vec<Column> {
    let mut all = Vec::new();
    for (definition, length) in [
        ("binary(1)", 1u64),
        ("binary(16)", 16),
        ("binary(255)", 255),
        ("char(10) character set binary", 10),
        ("varbinary(10)", 10),
        ("varbinary(255)", 255),
        ("varbinary(256)", 256),
        ("varbinary(300)", 300),
        ("tinyblob", 255),
        ("blob", 65_535),
        ("mediumblob", 70_000),
        ("longblob", 70_000),
        ("tinytext character set binary", 255),
    ] {
        let edges = [
            "''".to_owned(),
            "x'00'".to_owned(),
            "x'20'".to_owned(),
            "REPEAT(x'00FF', 0)".to_owned(),
            format!("REPEAT(x'00', {length})"),
            format!("REPEAT(x'20', {length})"),
            format!("REPEAT(x'FE', {length})"),
            format!("REPEAT(x'AB', {})", length.saturating_sub(1)),
        ];
        let draw = move |random: &mut Random| bytes(random, length.min(40));
        let column = Column::new(definition, Rendering::Bytes, &[], draw);
        all.push(column.with_edges(edges.to_vec()));
    }
    all
}

/// ENUM and SET; the values are the members' numbers and bits.
fn members() -> Vec<Column> {
    let list = |count: usize| -> String {
        (0..count).map(|at| format!("'m{at}'")).collect::<Vec<_>>().join(",")
    };
    let mut all = Vec::new();
    for (members, count) in [
        ("'x','','it''s','é'".to_owned(), 4u64),
        ("'a,b','\"q\"','100%','(',')','`'".to_owned(), 6),
        ("'x😀','?','😀😀','y?','𝒜','é'".to_owned(), 6),
        ("'only'".to_owned(), 1),
        (list(255), 255),
        (list(256), 256),
        (list(700), 700),
    ] {
        // 0 is the empty string of an invalid value.
        let edges = [1, count, 0, count.div_ceil(2)].map(|edge| edge.to_string()).to_vec();
        let draw = move |random: &mut Random| (1 + random.below(count)).to_string();
        let column = Column::new(format!("enum({members})"), Rendering::Text, &[], draw);
        all.push(column.with_edges(edges));
    }
    for (charset, members) in [
        ("latin1", "'ÿ','é'"),
        ("ucs2", "'ж','漢'"),
        ("utf16", "'😀','z'"),
        ("gbk", "'汉','z'"),
        ("utf32", "'?','𝒜'"),
    ] {
        let draw = |random: &mut Random| (1 + random.below(2)).to_string();
        let definition = format!("enum({members}) character set {charset}");
        all.push(Column::new(definition, Rendering::Text, &["0", "1", "2"], draw));
        let definition = format!("set({members}) character set {charset}");
        let draw = |random: &mut Random| random.below(4).to_string();
        all.push(Column::new(definition, Rendering::Set, &["0", "1", "2", "3"], draw));
    }
    for (members, count) in [
        ("'a','b','','é'".to_owned(), 4u32),
        ("'😀','q?','it''s 𝒜'".to_owned(), 3),
        (list(8), 8),
        (list(9), 9),
        (list(17), 17),
        (list(25), 25),
        (list(33), 33),
        (list(64), 64),
    ] {
        let most = u64::MAX >> (64 - count);
        let edges = [0, 1, most, 1 << (count - 1)].map(|edge| edge.to_string()).to_vec();
        let draw = move |random: &mut Random| (random.bits() & most).to_string();
        all.push(
            Column::new(format!("set({members})"), Rendering::Set, &[], draw).with_edges(edges),
        );
    }
    all
}

fn mysql_only() -> Vec<Column> {
    let vector = |count: u64| {
        move |random: &mut Random| {
            let floats: Vec<String> = (0..count)
                .map(|_| format!("{}e-{}", random.below(1 << 24), random.below(30)))
                .collect();
            format!("STRING_TO_VECTOR('[{}]')", floats.join(","))
        }
    };
    vec![
        Column::new("json", Rendering::Json, json::EDGES, json::document),
        Column::new("json", Rendering::Json, json::LARGE, json::document),
        Column::new(
            "vector(3)",
            Rendering::Floats,
            &["STRING_TO_VECTOR('[1,-0.5,3.4028235e38]')"],
            vector(3),
        ),
        Column::new(
            "vector",
            Rendering::Floats,
            &["STRING_TO_VECTOR('[1.17549435e-38,0]')"],
            vector(50),
        ),
    ]
}

fn mariadb_only() -> Vec<Column> {
    let hex = |random: &mut Random, digits: usize| -> String {
        (0..digits).map(|_| char::from(b"0123456789abcdef"[random.below(16) as usize])).collect()
    };
    let uuid = move |random: &mut Random| {
        let part = |random: &mut Random, digits| hex(random, digits);
        format!(
            "'{}-{}-{}-{}-{}'",
            part(random, 8),
            part(random, 4),
            part(random, 4),
            part(random, 4),
            part(random, 12)
        )
    };
    let inet6 = move |random: &mut Random| {
        let groups: Vec<String> = (0..8)
            .map(|_| if random.chance(50) { "0".to_owned() } else { hex(random, 4) })
            .collect();
        format!("'{}'", groups.join(":"))
    };
    let inet4 = |random: &mut Random| {
        let bits = random.bits() as u32;
        format!("'{}'", std::net::Ipv4Addr::from(bits))
    };
    let mut all = vec![
        Column::new(
            "uuid",
            Rendering::Plain,
            &[
                "'00000000-0000-0000-0000-000000000000'",
                "'ffffffff-ffff-ffff-ffff-ffffffffffff'",
                "'550e8400-e29b-41d4-a716-446655440000'",
                "'018f3b1e-0000-7abc-8def-0123456789ab'",
                "'01000000-0000-1000-8000-000000000000'",
                "'550e8400-e29b-01d4-0716-446655440000'",
            ],
            uuid,
        ),
        Column::new(
            "inet6",
            Rendering::Plain,
            &[
                "'::'",
                "'::1'",
                "'::ffff:1.2.3.4'",
                "'::1.2.3.4'",
                "'2001:db8::1:0:0:1'",
                "'1:0:3:4:5:6:7:8'",
                "'0:1:0:1:0:1:0:1'",
                "'fe80::'",
            ],
            inet6,
        ),
        Column::new(
            "inet4",
            Rendering::Plain,
            &["'0.0.0.0'", "'255.255.255.255'", "'10.0.0.0'"],
            inet4,
        ),
        Column::new(
            "json",
            Rendering::Text,
            &["'{\"b\":1,  \"a\": [1.0]}'", "'null'", "'\"é😀\"'"],
            |random| format!("'[{}, {{\"k\":  \"é\"}}]'", random.below(1000)),
        ),
    ];
    for (definition, rendering, length) in [
        ("varchar(1000) compressed", Rendering::Text, 1000),
        ("varchar(600) character set latin1 compressed", Rendering::Text, 600),
        ("text compressed", Rendering::Text, 60_000),
        ("tinytext compressed", Rendering::Text, 200),
        ("mediumtext character set ucs2 compressed", Rendering::Text, 9000),
        ("longblob compressed", Rendering::Bytes, 90_000),
        ("varbinary(500) compressed", Rendering::Bytes, 500),
    ] {
        let draw = |random: &mut Random| {
            format!("REPEAT('{}', {})", random.below(1000), 1 + random.below(60))
        };
        let edges = ["''".to_owned(), "'a'".to_owned(), format!("REPEAT('z', {length})")];
        all.push(Column::new(definition, rendering, &[], draw).with_edges(edges.to_vec()));
    }
    all
}
