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
/// A recording is replayed so many times in one go, so that frames fill as in a backlog.
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
    let mut columns = vec![column("id", "bigint", false)];
    columns.extend((0..count).map(|at| {
        let (column_type, nullable) = MIX[at % MIX.len()];
        column(&format!("c{at}"), column_type, nullable)
    }));
    table(&format!("mixed{count}"), columns)
}

fn named(name: &str, columns: &[(&str, &str, bool)]) -> TableMeta {
    let columns = columns.iter().map(|(name, ty, nullable)| column(name, ty, *nullable));
    table(name, columns.collect())
}

fn replay(meta: TableMeta) -> LogReplay {
    let mut charsets = Charsets::new();
    charsets.set_collations([(255, "utf8mb4".to_owned()), (63, "binary".to_owned())]);
    LogReplay::new(vec![meta], Flavor::MySql, charsets, FRAME_BYTES)
        .expect("the table can be captured")
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
    let recordings: [(&str, &str, &[u8], TableMeta); 4] = [
        (
            "orders, bulk",
            "rows",
            include_bytes!("recorded/orders.binlog.gz"),
            named("orders", &ORDERS),
        ),
        ("10 columns, bulk", "cells", include_bytes!("recorded/mixed10.binlog.gz"), mixed(10)),
        ("300 columns, bulk", "cells", include_bytes!("recorded/mixed300.binlog.gz"), mixed(300)),
        (
            "single rows",
            "transactions",
            include_bytes!("recorded/single.binlog.gz"),
            named("single", &SINGLE),
        ),
    ];
    for (name, counted, file, meta) in recordings {
        let mut recording = Vec::new();
        GzDecoder::new(file).read_to_end(&mut recording).expect("a packed file");
        let events = events(&recording).expect("a whole binlog file");
        let columns = meta.columns.len() as u64;
        let mut replay = replay(meta);
        let once = run(&mut replay, &events);
        assert!(once.rows > 0, "nothing of {name} was decoded");
        let bytes = events.iter().map(|event| event.len()).sum::<usize>() * TIMES;
        let elements = if counted == "cells" { once.rows * columns } else { once.rows };
        let mut group = criterion.benchmark_group(name);
        group.throughput(Throughput::ElementsAndBytes { elements, bytes: bytes as u64 });
        group.bench_function(counted, |bencher| bencher.iter(|| run(&mut replay, &events)));
        group.finish();
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default().with_measurement(CpuTime);
    targets = decoder
}
criterion_main!(benches);
