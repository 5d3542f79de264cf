//! Type names as `CAST` takes them.

use cdc_api::LogicalType as L;

use super::{Fault, lex::Token, parse::Parser};

impl Parser {
    /// A type, e.g. `DECIMAL(10, 2)` or `TIMESTAMP(3)`.
    pub(super) fn logical_type(&mut self) -> Result<L, Fault> {
        let at = self.span();
        let Token::Word(name) = self.peek().clone() else {
            return Err(Fault::new(at, "a type name is expected here"));
        };
        self.advance();
        let ty = match name.to_ascii_uppercase().as_str() {
            "BOOLEAN" | "BOOL" => L::Boolean,
            "TINYINT" => L::TinyInt,
            "SMALLINT" => L::SmallInt,
            "INT" | "INTEGER" => L::Int,
            "BIGINT" => L::BigInt,
            "FLOAT" | "REAL" => L::Float,
            "DOUBLE" => {
                self.accept_word("PRECISION");
                L::Double
            }
            "DECIMAL" | "NUMERIC" | "DEC" => {
                let args = self.lengths()?;
                let precision = args.first().copied().unwrap_or(10);
                let scale = args.get(1).copied().unwrap_or(0);
                if precision == 0 || precision > 38 || scale > precision {
                    return Err(Fault::new(
                        at,
                        format!("DECIMAL({precision}, {scale}) does not exist"),
                    )
                    .hint("1 to 38 digits, of which at most all stand behind the point"));
                }
                L::Decimal { precision: precision as u8, scale: scale as u8 }
            }
            "DATE" => L::Date,
            "TIME" => L::Time(self.precision(0)?),
            "TIMESTAMP" | "DATETIME" => {
                let precision = self.precision(6)?;
                if self.accept_word("WITH") {
                    let local = self.accept_word("LOCAL");
                    self.expect_word("TIME")?;
                    self.expect_word("ZONE")?;
                    if local { L::TimestampLtz(precision) } else { L::TimestampTz(precision) }
                } else {
                    if self.accept_word("WITHOUT") {
                        self.expect_word("TIME")?;
                        self.expect_word("ZONE")?;
                    }
                    L::Timestamp(precision)
                }
            }
            "TIMESTAMP_LTZ" => L::TimestampLtz(self.precision(6)?),
            "CHAR" | "VARCHAR" | "STRING" | "TEXT" => {
                self.lengths()?;
                L::String
            }
            "BINARY" | "VARBINARY" | "BYTES" => {
                self.lengths()?;
                L::Bytes
            }
            "VARIANT" => L::Variant,
            _ => {
                return Err(Fault::new(at, format!("the type {name} is not known")).hint(
                    "known types: BOOLEAN, TINYINT, SMALLINT, INT, BIGINT, FLOAT, DOUBLE, DECIMAL(p, s), DATE, \
                     TIME, TIMESTAMP(p), TIMESTAMP_LTZ(p), STRING, BYTES, VARIANT",
                ));
            }
        };
        Ok(ty)
    }

    fn precision(&mut self, default: u8) -> Result<u8, Fault> {
        let at = self.span();
        match self.lengths()?.first() {
            None => Ok(default),
            Some(&n) if n <= 9 => Ok(n as u8),
            Some(_) => Err(Fault::new(at, "at most 9 digits of a second can be kept")),
        }
    }

    fn lengths(&mut self) -> Result<Vec<u32>, Fault> {
        let mut lengths = Vec::new();
        if self.accept("(") {
            loop {
                let at = self.span();
                match self.peek().clone() {
                    Token::Number(text) => {
                        self.advance();
                        lengths.push(
                            text.parse()
                                .map_err(|_| Fault::new(at, "a length is a whole number"))?,
                        );
                    }
                    _ => return Err(Fault::new(at, "a length is expected here")),
                }
                if !self.accept(",") {
                    break;
                }
            }
            self.expect(")")?;
        }
        Ok(lengths)
    }
}
