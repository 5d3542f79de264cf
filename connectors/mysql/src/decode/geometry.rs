//! Spatial values: SRID and WKB into Flink CDC's JSON text,
//! `{"coordinates":[1,2],"type":"Point","srid":0}`; a collection has `geometries` instead of `coordinates`.

use super::{cursor::Cursor, error::Fault};

/// A collection may hold collections; deeper than this is no one's data.
const DEPTH_MAX: usize = 64;

/// The SRID, and the WKB behind it.
pub(crate) fn split(stored: &[u8]) -> Result<(u32, &[u8]), Fault> {
    if stored.is_empty() {
        // MariaDB keeps it for what INSERT IGNORE found to be no shape in a NOT NULL column.
        return Err(Fault::new("a spatial value without a byte, which is no shape"));
    }
    let mut cursor = Cursor::new(stored);
    let srid = cursor.u32()?;
    Ok((srid, cursor.rest()))
}

/// Appends the JSON text of a stored value.
pub(crate) fn write_json(stored: &[u8], out: &mut Vec<u8>) -> Result<(), Fault> {
    let (srid, wkb) = split(stored)?;
    let mut cursor = Cursor::new(wkb);
    let (ty, order) = header(&mut cursor)?;
    out.extend_from_slice(if ty == Shape::Collection {
        b"{\"geometries\":"
    } else {
        b"{\"coordinates\":"
    });
    content(ty, order, &mut cursor, 0, out)?;
    out.extend_from_slice(b",\"type\":\"");
    out.extend_from_slice(ty.name().as_bytes());
    out.extend_from_slice(b"\",\"srid\":");
    super::temporal::write_number(u64::from(srid), 1, out);
    out.push(b'}');
    if cursor.is_empty() {
        Ok(())
    } else {
        Err(Fault::new("a spatial value has bytes behind its end"))
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Shape {
    Point,
    LineString,
    Polygon,
    MultiPoint,
    MultiLineString,
    MultiPolygon,
    Collection,
}

impl Shape {
    fn name(self) -> &'static str {
        match self {
            Shape::Point => "Point",
            Shape::LineString => "LineString",
            Shape::Polygon => "Polygon",
            Shape::MultiPoint => "MultiPoint",
            Shape::MultiLineString => "MultiLineString",
            Shape::MultiPolygon => "MultiPolygon",
            Shape::Collection => "GeometryCollection",
        }
    }
}

#[derive(Clone, Copy)]
enum Order {
    Big,
    Little,
}

fn header(cursor: &mut Cursor<'_>) -> Result<(Shape, Order), Fault> {
    let order = match cursor.u8()? {
        0 => Order::Big,
        1 => Order::Little,
        other => return Err(Fault::new(format!("WKB with byte order {other}"))),
    };
    let shape = match count(cursor, order)? {
        1 => Shape::Point,
        2 => Shape::LineString,
        3 => Shape::Polygon,
        4 => Shape::MultiPoint,
        5 => Shape::MultiLineString,
        6 => Shape::MultiPolygon,
        7 => Shape::Collection,
        other => return Err(Fault::new(format!("WKB of type {other}"))),
    };
    Ok((shape, order))
}

fn count(cursor: &mut Cursor<'_>, order: Order) -> Result<u32, Fault> {
    let bytes = cursor.array()?;
    Ok(match order {
        Order::Big => u32::from_be_bytes(bytes),
        Order::Little => u32::from_le_bytes(bytes),
    })
}

/// Writes `[…]` with as many items as the next count says. Each item takes bytes, so a false count ends in a fault, not
/// in an endless loop.
fn list(
    cursor: &mut Cursor<'_>,
    order: Order,
    out: &mut Vec<u8>,
    mut item: impl FnMut(&mut Cursor<'_>, &mut Vec<u8>) -> Result<(), Fault>,
) -> Result<(), Fault> {
    let items = count(cursor, order)?;
    out.push(b'[');
    for at in 0..items {
        if at > 0 {
            out.push(b',');
        }
        item(cursor, out)?;
    }
    out.push(b']');
    Ok(())
}

fn content(
    shape: Shape,
    order: Order,
    cursor: &mut Cursor<'_>,
    depth: usize,
    out: &mut Vec<u8>,
) -> Result<(), Fault> {
    match shape {
        Shape::Point => point(cursor, order, out),
        Shape::LineString => list(cursor, order, out, |cursor, out| point(cursor, order, out)),
        Shape::Polygon => list(cursor, order, out, |cursor, out| {
            list(cursor, order, out, |cursor, out| point(cursor, order, out))
        }),
        Shape::MultiPoint => parts(Shape::Point, order, cursor, depth, out),
        Shape::MultiLineString => parts(Shape::LineString, order, cursor, depth, out),
        Shape::MultiPolygon => parts(Shape::Polygon, order, cursor, depth, out),
        Shape::Collection if depth >= DEPTH_MAX => {
            Err(Fault::new(format!("a GEOMETRYCOLLECTION is nested more than {DEPTH_MAX} deep")))
        }
        Shape::Collection => list(cursor, order, out, |cursor, out| {
            let (shape, order) = header(cursor)?;
            out.extend_from_slice(b"{\"type\":\"");
            out.extend_from_slice(shape.name().as_bytes());
            out.extend_from_slice(if shape == Shape::Collection {
                b"\",\"geometries\":"
            } else {
                b"\",\"coordinates\":"
            });
            content(shape, order, cursor, depth + 1, out)?;
            out.push(b'}');
            Ok(())
        }),
    }
}

/// The parts of a multi-shape have headers of their own.
fn parts(
    expected: Shape,
    order: Order,
    cursor: &mut Cursor<'_>,
    depth: usize,
    out: &mut Vec<u8>,
) -> Result<(), Fault> {
    list(cursor, order, out, |cursor, out| {
        let (shape, order) = header(cursor)?;
        if shape != expected {
            return Err(Fault::new(format!(
                "WKB has a {} among its {}s",
                shape.name(),
                expected.name()
            )));
        }
        content(shape, order, cursor, depth + 1, out)
    })
}

fn point(cursor: &mut Cursor<'_>, order: Order, out: &mut Vec<u8>) -> Result<(), Fault> {
    out.push(b'[');
    coordinate(cursor, order, out)?;
    out.push(b',');
    coordinate(cursor, order, out)?;
    out.push(b']');
    Ok(())
}

fn coordinate(cursor: &mut Cursor<'_>, order: Order, out: &mut Vec<u8>) -> Result<(), Fault> {
    let bytes = cursor.array()?;
    let value = match order {
        Order::Big => f64::from_be_bytes(bytes),
        Order::Little => f64::from_le_bytes(bytes),
    };
    if !value.is_finite() {
        return Err(Fault::new("a coordinate is not a finite number"));
    }
    // Whole numbers have no point; the shortest digits that read back as the same number otherwise.
    let text = if value == 0.0 || (1e-6..1e15).contains(&value.abs()) {
        format!("{value}")
    } else {
        format!("{value:e}")
    };
    out.extend_from_slice(text.as_bytes());
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn wkb(shape: u32, parts: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = vec![1];
        bytes.extend(shape.to_le_bytes());
        if shape != 1 {
            bytes.extend((parts.len() as u32).to_le_bytes());
        }
        parts.iter().for_each(|part| bytes.extend(part));
        bytes
    }
    fn xy(x: f64, y: f64) -> Vec<u8> {
        [x.to_le_bytes(), y.to_le_bytes()].concat()
    }
    fn ring(points: &[(f64, f64)]) -> Vec<u8> {
        let mut bytes = (points.len() as u32).to_le_bytes().to_vec();
        points.iter().for_each(|&(x, y)| bytes.extend(xy(x, y)));
        bytes
    }
    fn check(srid: u32, wkb: Vec<u8>, expected: &str) {
        let stored = [srid.to_le_bytes().to_vec(), wkb].concat();
        let mut out = Vec::new();
        write_json(&stored, &mut out).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), expected);
        for cut in 0..stored.len() {
            assert!(write_json(&stored[..cut], &mut Vec::new()).is_err(), "cut at {cut}");
        }
    }

    #[test]
    fn shapes_are_printed_in_flink_cdcs_order() {
        check(0, wkb(1, &[xy(1.0, -2.5)]), r#"{"coordinates":[1,-2.5],"type":"Point","srid":0}"#);
        check(
            4326,
            wkb(2, &[xy(3.0, 0.0), xy(1e300, 0.1)]),
            r#"{"coordinates":[[3,0],[1e300,0.1]],"type":"LineString","srid":4326}"#,
        );
        check(
            0,
            wkb(3, &[ring(&[(1.0, 1.0), (2.0, 1.0), (1.0, 1.0)])]),
            r#"{"coordinates":[[[1,1],[2,1],[1,1]]],"type":"Polygon","srid":0}"#,
        );
        check(
            0,
            wkb(4, &[wkb(1, &[xy(1.0, 1.0)]), wkb(1, &[xy(2.0, 2.0)])]),
            r#"{"coordinates":[[1,1],[2,2]],"type":"MultiPoint","srid":0}"#,
        );
        check(
            0,
            wkb(
                7,
                &[
                    wkb(1, &[xy(10.0, 10.0)]),
                    wkb(2, &[xy(15.0, 15.0), xy(20.0, 20.0)]),
                    wkb(7, &[]),
                ],
            ),
            r#"{"geometries":[{"type":"Point","coordinates":[10,10]},{"type":"LineString","coordinates":[[15,15],[20,20]]},{"type":"GeometryCollection","geometries":[]}],"type":"GeometryCollection","srid":0}"#,
        );
    }

    #[test]
    fn nesting_is_bounded() {
        let mut nested = wkb(7, &[]);
        for _ in 0..DEPTH_MAX + 1 {
            nested = wkb(7, &[nested]);
        }
        let stored = [vec![0; 4], nested].concat();
        assert!(write_json(&stored, &mut Vec::new()).is_err());
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(bytes in proptest::collection::vec(0u8..8, 0..200)) {
            let _ = write_json(&bytes, &mut Vec::new());
        }
    }
}
