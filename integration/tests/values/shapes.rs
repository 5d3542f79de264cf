//! Spatial columns of the matrix: a column of each type, with random shapes as WKT.

use cdc_integration::{Random, ServerKind};

use crate::{matrix::Column, rendering::Rendering};

/// A point's two coordinates in WKT.
fn point(random: &mut Random) -> String {
    let mut number = || match random.below(5) {
        0 => format!("{}", random.below(100)),
        1 => format!("-{}.{}", random.below(180), random.bits() >> 20),
        2 => {
            format!("{:e}", (random.bits() >> 11) as f64 * 2f64.powi(random.below(80) as i32 - 90))
        }
        3 => "0".to_owned(),
        _ => format!("{}", (random.bits() >> 11) as f64 / 1e9),
    };
    format!("{} {}", number(), number())
}

fn ring(random: &mut Random) -> String {
    let (x, y) = (random.below(50), random.below(50));
    let size = 1 + random.below(9);
    format!("({x} {y},{} {y},{} {},{x} {y})", x + size, x + size, y + size)
}

fn several(random: &mut Random, mut one: impl FnMut(&mut Random) -> String) -> String {
    let count = 1 + random.below(3);
    (0..count).map(|_| one(random)).collect::<Vec<_>>().join(",")
}

fn line(random: &mut Random) -> String {
    format!("({},{})", point(random), several(random, point))
}

/// A random spatial value as WKT, of this type or of any.
fn wkt(random: &mut Random, ty: &str, depth: u32) -> String {
    match ty {
        "point" => format!("POINT({})", point(random)),
        "linestring" => format!("LINESTRING{}", line(random)),
        "polygon" => format!("POLYGON({})", ring(random)),
        "multipoint" => format!("MULTIPOINT({})", several(random, point)),
        "multilinestring" => format!("MULTILINESTRING({})", several(random, line)),
        "multipolygon" => {
            format!("MULTIPOLYGON({})", several(random, |random| format!("({})", ring(random))))
        }
        "geometrycollection" if depth < 3 => {
            let parts = several(random, |random| wkt(random, "geometry", depth + 1));
            format!("GEOMETRYCOLLECTION({parts})")
        }
        _ => {
            const TYPES: [&str; 7] = [
                "point",
                "linestring",
                "polygon",
                "multipoint",
                "multilinestring",
                "multipolygon",
                "geometrycollection",
            ];
            let kinds = if depth < 3 { 7 } else { 6 };
            let ty = TYPES[random.below(kinds) as usize];
            wkt(random, ty, depth)
        }
    }
}

pub(crate) fn columns(kind: ServerKind, rendering: Rendering) -> Vec<Column> {
    const TYPES: [&str; 8] = [
        "geometry",
        "point",
        "linestring",
        "polygon",
        "multipoint",
        "multilinestring",
        "multipolygon",
        "geometrycollection",
    ];
    let mut all: Vec<Column> = TYPES
        .into_iter()
        .map(|ty| {
            Column::new(ty, rendering, &[], move |random| {
                // A reference system that both servers know; both keep the axes in the order of the text.
                let srid = if random.chance(30) { 3857 } else { 0 };
                format!("ST_GeomFromText('{}', {srid})", wkt(random, ty, 0))
            })
        })
        .collect();
    // What MariaDB cannot read as a shape it stores as no bytes at all, where NULL is not allowed: see `corpus`.
    all.iter_mut().for_each(|column| column.may_be_required = kind == ServerKind::Mysql);
    if let Some(any) = all.first_mut() {
        any.edges.push("ST_GeomFromText('GEOMETRYCOLLECTION EMPTY')".to_owned());
        any.edges.push("ST_GeomFromText('POINT(-0.0 1e300)')".to_owned());
        // Latitude and longitude: MySQL keeps them in the other order than its text has.
        any.edges.push("ST_GeomFromText('POINT(12.5 -77.25)', 4326)".to_owned());
        any.edges
            .push("ST_GeomFromText('POLYGON((0 0,9 0,9 9,0 0),(1 1,2 1,2 2,1 1))')".to_owned());
        if kind == ServerKind::Mysql {
            any.edges
                .push("ST_GeomFromText('GEOMETRYCOLLECTION(GEOMETRYCOLLECTION())')".to_owned());
        }
    }
    all
}
