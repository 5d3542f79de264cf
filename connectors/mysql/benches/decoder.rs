//! How fast recorded binlog events become Arrow: `cargo bench -p cdc-mysql`. Bytes are those of the log, CRC32 verified.
//! Set beside the goals by `make bench`; what was measured, and the profile, stand in `integration/bench/RESULTS.md`.

use std::{hint::black_box, io::Read, time::Duration};

use cdc_api::TableId;
use cdc_mysql::{
    charset::Charsets,
    metadata::{ColumnMeta, TableMeta},
    replay::{LogReplay, Replayed, events},
    types::Flavor,
};
use criterion::{
    Criterion, Throughput, criterion_group, criterion_main,
    measurement::{Measurement, ValueFormatter, WallTime},
};
use flate2::read::GzDecoder;

/// As the daemon's `main` sets it: buffers of many sizes come and go with each frame.
#[cfg(target_env = "gnu")]
const BLOCK_BYTES_KEPT_MAX: libc::c_int = 4 << 20;

/// As the reader cuts frames.
const FRAME_BYTES: u64 = 256 << 10;
/// Each recording is laid out again and again until it has at least so many bytes: in a short one every byte would still be
/// in the cache from the time before, and tables of few columns, whose recordings are short, would look quicker than they are.
const RECORDED_BYTES_MIN: usize = 512 << 10;
/// It is replayed so many times in one go, so that frames fill as in a backlog.
const TIMES: usize = 16;

/// The ten types of the `mixed` tables, as `record.py` creates them.
const MIX: [(&str, bool); 10] = [
    ("int", false),
    ("bigint", false),
    ("varchar(20)", false),
    ("decimal(12,2)", false),
    ("datetime(6)", false),
    ("double", false),
    ("tinyint", false),
    ("varchar(20)", true),
    ("date", false),
    ("int", true),
];
const ORDERS: [(&str, &str, bool); 9] = [
    ("id", "bigint", false),
    ("customer_id", "int", false),
    ("status", "varchar(16)", false),
    ("total", "decimal(12,2)", false),
    ("discount", "double", true),
    ("paid", "tinyint(1)", false),
    ("note", "varchar(100)", true),
    ("ordered_at", "datetime(6)", false),
    ("changed_at", "timestamp", true),
];
const SINGLE: [(&str, &str, bool); 3] =
    [("id", "bigint", false), ("k", "int", false), ("v", "varchar(40)", false)];

/// A column as `information_schema` describes it.
fn column(name: &str, column_type: &str, nullable: bool) -> ColumnMeta {
    let (data_type, arguments) = column_type.split_once('(').unwrap_or((column_type, ""));
    let mut numbers =
        arguments.trim_end_matches(')').split(',').map(|text| text.parse::<u8>().ok());
    let (first, second) = (numbers.next().flatten(), numbers.next().flatten());
    let text = data_type == "varchar";
    let time = matches!(data_type, "datetime" | "timestamp");
    ColumnMeta {
        name: name.into(),
        data_type: data_type.into(),
        column_type: column_type.into(),
        length: first.filter(|_| text).map(u64::from),
        precision: first.filter(|_| data_type == "decimal").map(u32::from),
        scale: second.map(u32::from),
        fraction: time.then(|| first.unwrap_or(0)),
        charset: text.then(|| "utf8mb4".into()),
        collation: text.then(|| "utf8mb4_0900_ai_ci".into()),
        nullable,
        default: None,
        extra: String::new(),
        generated: String::new(),
        comment: String::new(),
    }
}

fn table(name: &str, columns: Vec<ColumnMeta>) -> TableMeta {
    TableMeta {
        id: TableId::new("bench", name),
        columns,
        primary_key: vec![0],
        unique_keys: Vec::new(),
        engine: "InnoDB".into(),
        rows_estimated: None,
        comment: String::new(),
    }
}

fn mixed(count: usize) -> TableMeta {
    let columns = (0..count).map(|at| {
        let (column_type, nullable) = MIX[at % MIX.len()];
        column(&format!("c{at}"), column_type, nullable)
    });
    table(&format!("mixed{count}"), columns.collect())
}

fn named(name: &str, columns: &[(&str, &str, bool)]) -> TableMeta {
    let columns = columns.iter().map(|(name, ty, nullable)| column(name, ty, *nullable));
    table(name, columns.collect())
}

/// A recording, unpacked, and what replays it.
struct Recording {
    replay: LogReplay,
    bytes: Vec<u8>,
    columns: u64,
}

impl Recording {
    fn new(meta: TableMeta, packed: &[u8]) -> Recording {
        let mut bytes = Vec::new();
        GzDecoder::new(packed).read_to_end(&mut bytes).expect("a packed file");
        let mut charsets = Charsets::new();
        charsets.set_collations([(255, "utf8mb4".to_owned()), (63, "binary".to_owned())]);
        let columns = meta.columns.len() as u64;
        let replay = LogReplay::new(vec![meta], Flavor::MySql, charsets, FRAME_BYTES)
            .expect("the table can be captured");
        Recording { replay, bytes, columns }
    }

    fn orders() -> Recording {
        Recording::new(named("orders", &ORDERS), include_bytes!("recorded/orders.binlog.gz"))
    }

    fn ten_columns() -> Recording {
        Recording::new(mixed(10), include_bytes!("recorded/mixed10.binlog.gz"))
    }

    fn three_hundred_columns() -> Recording {
        Recording::new(mixed(300), include_bytes!("recorded/mixed300.binlog.gz"))
    }

    fn single_rows() -> Recording {
        Recording::new(named("single", &SINGLE), include_bytes!("recorded/single.binlog.gz"))
    }

    /// As many copies of the recording as have [`RECORDED_BYTES_MIN`].
    fn copies(&self) -> Vec<Vec<u8>> {
        vec![self.bytes.clone(); RECORDED_BYTES_MIN.div_ceil(self.bytes.len())]
    }
}

fn events_of(copies: &[Vec<u8>]) -> Vec<&[u8]> {
    copies.iter().flat_map(|copy| events(copy).expect("a whole binlog file")).collect()
}

fn run(replay: &mut LogReplay, events: &[&[u8]]) -> Replayed {
    for _ in 0..TIMES {
        for event in events {
            replay.event(black_box(event)).expect("the recording is whole");
        }
    }
    replay.take().expect("the rows are a batch")
}

/// This thread's CPU time: what else runs on the machine hardly matters, and the goals are per core.
struct CpuTime;

impl Measurement for CpuTime {
    type Intermediate = Duration;
    type Value = Duration;

    fn start(&self) -> Duration {
        let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: the call writes one timespec to where it is told to.
        let done = unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut now) };
        assert_eq!(done, 0, "every Linux has this clock");
        Duration::new(now.tv_sec.unsigned_abs(), u32::try_from(now.tv_nsec).unwrap_or(0))
    }

    fn end(&self, begun: Duration) -> Duration {
        self.start() - begun
    }

    fn add(&self, one: &Duration, other: &Duration) -> Duration {
        *one + *other
    }

    fn zero(&self) -> Duration {
        Duration::ZERO
    }

    fn to_f64(&self, value: &Duration) -> f64 {
        WallTime.to_f64(value)
    }

    fn formatter(&self) -> &dyn ValueFormatter {
        WallTime.formatter()
    }
}

fn decoder(criterion: &mut Criterion<CpuTime>) {
    // SAFETY: no other thread is there yet, and the calls only set numbers.
    #[cfg(target_env = "gnu")]
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, BLOCK_BYTES_KEPT_MAX);
        libc::mallopt(libc::M_TRIM_THRESHOLD, BLOCK_BYTES_KEPT_MAX);
    }
    let recordings = [
        ("orders, bulk", "rows", Recording::orders()),
        ("10 columns, bulk", "cells", Recording::ten_columns()),
        ("300 columns, bulk", "cells", Recording::three_hundred_columns()),
        ("single rows", "transactions", Recording::single_rows()),
    ];
    for (name, counted, mut recording) in recordings {
        let copies = recording.copies();
        let events = events_of(&copies);
        let once = run(&mut recording.replay, &events);
        assert!(once.rows > 0, "nothing of {name} was decoded");
        let bytes = events.iter().map(|event| event.len()).sum::<usize>() * TIMES;
        let cells = once.rows * recording.columns;
        let elements = if counted == "cells" { cells } else { once.rows };
        let mut group = criterion.benchmark_group(name);
        group.throughput(Throughput::ElementsAndBytes { elements, bytes: bytes as u64 });
        group.bench_function(counted, |bencher| {
            bencher.iter(|| run(&mut recording.replay, &events));
        });
        group.finish();
    }
}

/// What a cell of 300 columns costs, of what one of 10 does. In turns, since a machine's speed may change by half within
/// seconds: the median of all pairs.
#[expect(clippy::print_stdout, reason = "criterion prints there too")]
fn wide_against_narrow(_: &mut Criterion<CpuTime>) {
    const PAIRS: usize = 100;
    let (mut narrow, mut wide) = (Recording::ten_columns(), Recording::three_hundred_columns());
    let copies = (narrow.copies(), wide.copies());
    let events = (events_of(&copies.0), events_of(&copies.1));
    let seconds_a_cell = |recording: &mut Recording, events: &[&[u8]]| {
        let begun = CpuTime.start();
        let rows = run(&mut recording.replay, events).rows;
        CpuTime.end(begun).as_secs_f64() / (rows * recording.columns) as f64
    };
    let pair = |_| {
        let narrow = seconds_a_cell(&mut narrow, &events.0);
        seconds_a_cell(&mut wide, &events.1) / narrow
    };
    let mut ratios: Vec<f64> = (0..=PAIRS).map(pair).collect();
    ratios.sort_by(f64::total_cmp);
    println!("300 columns, time of a cell, of that of 10 columns: {:.3}", ratios[PAIRS / 2]);
}

criterion_group! {
    name = benches;
    config = Criterion::default().with_measurement(CpuTime);
    targets = decoder, wide_against_narrow
}
criterion_main!(benches);
