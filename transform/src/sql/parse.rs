//! From words to the tree: precedence climbing with a bound on depth.

use cdc_api::LogicalType;

use super::{
    Binary, Expr, Fault, Is, Item, Kind, Span,
    lex::{Token, lex},
};

/// Deeper nesting than any person writes; keeps the stack bounded.
const MAX_DEPTH: usize = 64;

const NILADIC: [&str; 5] =
    ["LOCALTIME", "LOCALTIMESTAMP", "CURRENT_TIME", "CURRENT_DATE", "CURRENT_TIMESTAMP"];

/// Words that end an expression and so cannot name a column unless quoted.
const RESERVED: [&str; 22] = [
    "AS", "AND", "OR", "NOT", "FROM", "FOR", "WHEN", "THEN", "ELSE", "END", "IN", "IS", "LIKE",
    "BETWEEN", "ESCAPE", "PLACING", "SIMILAR", "TO", "CASE", "SELECT", "WHERE", "UNION",
];

/// The places of the calls whose first argument is a unit of time.
const UNIT_FIRST: [&str; 3] = ["TIMESTAMPADD", "TIMESTAMPDIFF", "TIMESTAMP_DIFF"];

/// A projection: items separated by commas.
pub(crate) fn projection(text: &str) -> Result<Vec<(Item, Span)>, Fault> {
    let mut parser = Parser::new(text)?;
    let mut items = Vec::new();
    loop {
        let start = parser.span();
        // YAML needs `\*` where a plain scalar begins with an asterisk.
        parser.accept("\\");
        let item = if parser.accept("*") {
            Item::All
        } else {
            let expr = parser.expr()?;
            // AS may be left out behind an expression. Behind a column a comma was rather forgotten.
            let is_named = parser.accept_word("AS")
                || !matches!(expr.kind, Kind::Column(_)) && parser.at_alias();
            let alias = if is_named { Some(parser.name()?) } else { None };
            Item::Expr { expr, alias }
        };
        items.push((item, start.to(parser.last())));
        if !parser.accept(",") {
            break;
        }
    }
    parser.end()?;
    Ok(items)
}

/// One expression.
pub(crate) fn scalar(text: &str) -> Result<Expr, Fault> {
    let mut parser = Parser::new(text)?;
    let expr = parser.expr()?;
    parser.end()?;
    Ok(expr)
}

/// A macro's head and body: `name(a, b) AS expression`.
pub(crate) fn signature(text: &str) -> Result<(String, Vec<String>, Expr), Fault> {
    let mut parser = Parser::new(text)?;
    let (name, _) = parser.name()?;
    parser.expect("(")?;
    let mut params = Vec::new();
    if !parser.accept(")") {
        loop {
            params.push(parser.name()?.0);
            if !parser.accept(",") {
                break;
            }
        }
        parser.expect(")")?;
    }
    parser.expect_word("AS")?;
    let body = parser.expr()?;
    parser.end()?;
    Ok((name, params, body))
}

/// A name alone.
pub(crate) fn identifier(text: &str) -> Result<String, Fault> {
    let mut parser = Parser::new(text)?;
    let (name, _) = parser.name()?;
    match parser.peek() {
        Token::End => Ok(name),
        _ => Err(parser.unexpected("the end of the name")),
    }
}

/// Types separated by commas; none in an empty text.
pub(crate) fn types(text: &str) -> Result<Vec<(LogicalType, Span)>, Fault> {
    let mut parser = Parser::new(text)?;
    let mut types = Vec::new();
    if matches!(parser.peek(), Token::End) {
        return Ok(types);
    }
    loop {
        let start = parser.span();
        let ty = parser.logical_type()?;
        types.push((ty, start.to(parser.last())));
        if !parser.accept(",") {
            break;
        }
    }
    match parser.peek() {
        Token::End => Ok(types),
        _ => Err(parser.unexpected("a comma or the end")),
    }
}

pub(super) struct Parser {
    tokens: Vec<(Token, Span)>,
    at: usize,
    depth: usize,
}

impl Parser {
    fn new(text: &str) -> Result<Self, Fault> {
        Ok(Parser { tokens: lex(text)?, at: 0, depth: 0 })
    }
    pub(super) fn peek(&self) -> &Token {
        self.tokens.get(self.at).map_or(&Token::End, |(token, _)| token)
    }
    fn peek_after(&self) -> &Token {
        self.tokens.get(self.at + 1).map_or(&Token::End, |(token, _)| token)
    }
    pub(super) fn span(&self) -> Span {
        self.tokens.get(self.at).map_or(self.last(), |(_, span)| *span)
    }
    fn last(&self) -> Span {
        self.at
            .checked_sub(1)
            .and_then(|at| self.tokens.get(at))
            .map_or(Span::default(), |(_, span)| *span)
    }
    pub(super) fn advance(&mut self) {
        self.at += 1;
    }
    pub(super) fn accept(&mut self, symbol: &str) -> bool {
        let found = matches!(self.peek(), Token::Symbol(found) if *found == symbol);
        self.at += usize::from(found);
        found
    }
    fn at_word(&self, word: &str) -> bool {
        matches!(self.peek(), Token::Word(found) if found.eq_ignore_ascii_case(word))
    }
    pub(super) fn accept_word(&mut self, word: &str) -> bool {
        let found = self.at_word(word);
        self.at += usize::from(found);
        found
    }
    pub(super) fn expect(&mut self, symbol: &'static str) -> Result<(), Fault> {
        if self.accept(symbol) { Ok(()) } else { Err(self.unexpected(symbol)) }
    }
    pub(super) fn expect_word(&mut self, word: &str) -> Result<(), Fault> {
        if self.accept_word(word) { Ok(()) } else { Err(self.unexpected(word)) }
    }
    fn unexpected(&self, wanted: &str) -> Fault {
        let found = match self.peek() {
            Token::Word(word) | Token::Quoted(word) => format!("\"{word}\""),
            Token::Number(number) => number.clone(),
            Token::Text(_) => "a text".to_owned(),
            Token::Symbol(symbol) => format!("\"{symbol}\""),
            Token::End => "the end of the text".to_owned(),
        };
        Fault::new(self.span(), format!("{wanted} is expected here, found {found}"))
    }
    /// Whether a name stands here that nothing else can be.
    fn at_alias(&self) -> bool {
        match self.peek() {
            Token::Quoted(_) => true,
            Token::Word(word) => !RESERVED.iter().any(|known| known.eq_ignore_ascii_case(word)),
            _ => false,
        }
    }
    fn end(&mut self) -> Result<(), Fault> {
        self.accept(";");
        match self.peek() {
            Token::End => Ok(()),
            Token::Word(word) => {
                let hint = format!("items are separated by commas; a name is given with AS {word}");
                Err(self.unexpected("a comma, an operator or the end").hint(hint))
            }
            _ => Err(self.unexpected("a comma, an operator or the end")),
        }
    }
    fn name(&mut self) -> Result<(String, Span), Fault> {
        let span = self.span();
        match self.peek().clone() {
            Token::Word(name) | Token::Quoted(name) => {
                self.advance();
                Ok((name, span))
            }
            _ => Err(self.unexpected("a name")),
        }
    }

    fn expr(&mut self) -> Result<Expr, Fault> {
        self.climb(0)
    }

    fn climb(&mut self, floor: u8) -> Result<Expr, Fault> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(Fault::new(self.span(), "the expression is nested too deeply")
                .hint("split it into several computed columns"));
        }
        let mut left = self.prefix()?;
        loop {
            let (next, more) = self.infix(floor, left)?;
            left = next;
            if !more {
                break;
            }
        }
        self.depth -= 1;
        Ok(left)
    }

    /// Takes one operator behind `left` when it binds tighter than `floor`; says whether it did.
    fn infix(&mut self, floor: u8, left: Expr) -> Result<(Expr, bool), Fault> {
        let symbol = match self.peek() {
            Token::Symbol(symbol) => (*symbol).to_owned(),
            Token::Word(word) => word.to_ascii_uppercase(),
            _ => return Ok((left, false)),
        };
        let (op, power) = match symbol.as_str() {
            "OR" => (Binary::Or, 1),
            "AND" => (Binary::And, 2),
            "=" => (Binary::Eq, 4),
            "<>" | "!=" => (Binary::Ne, 4),
            "<" => (Binary::Lt, 4),
            "<=" => (Binary::Le, 4),
            ">" => (Binary::Gt, 4),
            ">=" => (Binary::Ge, 4),
            "+" => (Binary::Add, 6),
            "-" => (Binary::Sub, 6),
            "||" => (Binary::Concat, 7),
            "*" => (Binary::Mul, 7),
            "/" => (Binary::Div, 7),
            "%" => (Binary::Mod, 7),
            "[" => {
                self.advance();
                let index = self.climb(0)?;
                self.expect("]")?;
                let at = left.at.to(self.last());
                let kind = Kind::Index { expr: Box::new(left), index: Box::new(index) };
                return Ok((Expr::new(kind, at).bounded()?, true));
            }
            "IS" | "NOT" | "BETWEEN" | "IN" | "LIKE" | "SIMILAR" if floor < 4 => {
                return Ok((self.predicate(left)?, true));
            }
            _ => return Ok((left, false)),
        };
        if power <= floor {
            return Ok((left, false));
        }
        self.advance();
        let right = self.climb(power)?;
        let at = left.at.to(right.at);
        let kind = Kind::Binary { op, left: Box::new(left), right: Box::new(right) };
        Ok((Expr::new(kind, at).bounded()?, true))
    }

    /// `IS ..`, `[NOT] BETWEEN / IN / LIKE / SIMILAR TO`.
    fn predicate(&mut self, left: Expr) -> Result<Expr, Fault> {
        let start = left.at;
        let expr = Box::new(left);
        let kind = if self.accept_word("IS") {
            let not = self.accept_word("NOT");
            if self.accept_word("DISTINCT") {
                self.expect_word("FROM")?;
                // `IS NOT DISTINCT FROM` means the same value.
                Kind::Distinct { left: expr, right: Box::new(self.climb(4)?), not }
            } else {
                let what = [
                    ("NULL", Is::Null),
                    ("UNKNOWN", Is::Unknown),
                    ("TRUE", Is::True),
                    ("FALSE", Is::False),
                ]
                .into_iter()
                .find(|(word, _)| self.at_word(word));
                let Some((_, what)) = what else {
                    return Err(self.unexpected("NULL, TRUE, FALSE, UNKNOWN or DISTINCT FROM"));
                };
                self.advance();
                Kind::Is { expr, what, not }
            }
        } else {
            let not = self.accept_word("NOT");
            if self.accept_word("BETWEEN") {
                self.accept_word("ASYMMETRIC");
                let low = Box::new(self.climb(4)?);
                self.expect_word("AND")?;
                Kind::Between { expr, low, high: Box::new(self.climb(4)?), not }
            } else if self.accept_word("IN") {
                self.expect("(")?;
                Kind::In { expr, list: self.list(")")?, not }
            } else {
                let similar = self.accept_word("SIMILAR");
                if similar {
                    self.expect_word("TO")?;
                } else if !self.accept_word("LIKE") {
                    return Err(self.unexpected("BETWEEN, IN, LIKE or SIMILAR TO"));
                }
                let pattern = Box::new(self.climb(4)?);
                let escape =
                    if self.accept_word("ESCAPE") { Some(Box::new(self.climb(4)?)) } else { None };
                Kind::Like { expr, pattern, escape, similar, not }
            }
        };
        Expr::new(kind, start.to(self.last())).bounded()
    }

    /// Expressions up to the closing symbol.
    fn list(&mut self, close: &'static str) -> Result<Vec<Expr>, Fault> {
        let mut list = Vec::new();
        if self.accept(close) {
            return Ok(list);
        }
        loop {
            list.push(self.climb(0)?);
            if !self.accept(",") {
                break;
            }
        }
        self.expect(close)?;
        Ok(list)
    }

    fn prefix(&mut self) -> Result<Expr, Fault> {
        let at = self.span();
        let kind = match self.peek().clone() {
            Token::Number(number) => {
                self.advance();
                Kind::Number(number)
            }
            Token::Text(text) => {
                self.advance();
                Kind::Text(text)
            }
            Token::Quoted(name) => {
                self.advance();
                Kind::Column(self.qualified(name)?)
            }
            Token::Symbol("(") => {
                self.advance();
                let inner = self.climb(0)?;
                self.expect(")")?;
                return Ok(Expr { at: at.to(self.last()), ..inner });
            }
            Token::Symbol("-") => {
                self.advance();
                Kind::Negate(Box::new(self.climb(8)?))
            }
            Token::Symbol("+") => {
                self.advance();
                return self.climb(8);
            }
            Token::Word(word) => return self.word(&word, at),
            _ => return Err(self.unexpected("an expression")),
        };
        Expr::new(kind, at.to(self.last())).bounded()
    }

    /// `table.column`: only the last part counts, a rule sees one table.
    fn qualified(&mut self, mut name: String) -> Result<String, Fault> {
        while self.accept(".") {
            name = self.name()?.0;
        }
        Ok(name)
    }

    fn word(&mut self, word: &str, at: Span) -> Result<Expr, Fault> {
        let upper = word.to_ascii_uppercase();
        let call = matches!(self.peek_after(), Token::Symbol("("));
        let bracket = matches!(self.peek_after(), Token::Symbol("["));
        let text_next = matches!(self.peek_after(), Token::Text(_));
        let kind = match upper.as_str() {
            "NULL" | "UNKNOWN" => {
                self.advance();
                Kind::Null
            }
            "TRUE" | "FALSE" => {
                self.advance();
                Kind::Bool(upper == "TRUE")
            }
            "NOT" => {
                self.advance();
                Kind::Not(Box::new(self.climb(3)?))
            }
            "CASE" => {
                self.advance();
                self.case()?
            }
            "CAST" | "TRY_CAST" if call => {
                self.advance();
                self.expect("(")?;
                let expr = Box::new(self.climb(0)?);
                self.expect_word("AS")?;
                let to = self.logical_type()?;
                self.expect(")")?;
                Kind::Cast { expr, to, lenient: upper == "TRY_CAST" }
            }
            "ARRAY" | "MAP" if bracket => {
                self.advance();
                self.advance();
                let list = self.list("]")?;
                if upper == "ARRAY" { Kind::Array(list) } else { Kind::Map(list) }
            }
            "ROW" if call => {
                self.advance();
                self.advance();
                Kind::Row(self.list(")")?)
            }
            "INTERVAL" if text_next || matches!(self.peek_after(), Token::Number(_)) => {
                self.advance();
                self.interval()?
            }
            "DATE" | "TIME" | "TIMESTAMP" if text_next => {
                use cdc_api::LogicalType as L;
                self.advance();
                let expr = Box::new(self.prefix()?);
                let to = match upper.as_str() {
                    "DATE" => L::Date,
                    "TIME" => L::Time(3),
                    _ => L::Timestamp(3),
                };
                Kind::Cast { expr, to, lenient: false }
            }
            _ if call => {
                self.advance();
                self.advance();
                self.call(word, &upper)?
            }
            _ if NILADIC.contains(&upper.as_str()) => {
                self.advance();
                Kind::Call { name: upper, args: Vec::new() }
            }
            _ if RESERVED.contains(&upper.as_str()) => {
                return Err(self
                    .unexpected("an expression")
                    .hint(format!("if {word} is a column, write `{word}` with backticks")));
            }
            _ => {
                self.advance();
                Kind::Column(self.qualified(word.to_owned())?)
            }
        };
        Expr::new(kind, at.to(self.last())).bounded()
    }

    fn case(&mut self) -> Result<Kind, Fault> {
        let operand = if self.at_word("WHEN") { None } else { Some(Box::new(self.climb(0)?)) };
        let mut whens = Vec::new();
        while self.accept_word("WHEN") {
            let when = self.climb(0)?;
            self.expect_word("THEN")?;
            whens.push((when, self.climb(0)?));
        }
        if whens.is_empty() {
            return Err(self.unexpected("WHEN"));
        }
        let otherwise =
            if self.accept_word("ELSE") { Some(Box::new(self.climb(0)?)) } else { None };
        self.expect_word("END")?;
        Ok(Kind::Case { operand, whens, otherwise })
    }

    /// The arguments behind the opening parenthesis, with the words SQL puts between them.
    fn call(&mut self, word: &str, upper: &str) -> Result<Kind, Fault> {
        let mut args = Vec::new();
        let mut name = word.to_owned();
        match upper {
            "EXTRACT" => {
                args.push(self.unit()?);
                self.expect_word("FROM")?;
                args.push(self.climb(0)?);
            }
            "TRIM" => {
                let side =
                    ["BOTH", "LEADING", "TRAILING"].into_iter().find(|side| self.at_word(side));
                if let Some(side) = side {
                    self.advance();
                    name = format!("TRIM_{side}");
                    if self.accept_word("FROM") {
                        args.push(self.climb(0)?);
                    } else {
                        let what = self.climb(0)?;
                        self.expect_word("FROM")?;
                        args.extend([self.climb(0)?, what]);
                    }
                } else {
                    let first = self.climb(0)?;
                    if self.accept_word("FROM") {
                        args.extend([self.climb(0)?, first]);
                    } else {
                        args.push(first);
                    }
                }
            }
            "POSITION" => {
                // The needle ends before IN, so the operator IN must not be read as part of it.
                args.push(self.climb(5)?);
                self.expect_word("IN")?;
                args.push(self.climb(0)?);
                if self.accept_word("FROM") {
                    args.push(self.climb(0)?);
                }
            }
            _ => {
                if UNIT_FIRST.contains(&upper) && !matches!(self.peek(), Token::Text(_)) {
                    args.push(self.unit()?);
                    self.expect(",")?;
                }
                if !matches!(self.peek(), Token::Symbol(")")) {
                    args.push(self.climb(0)?);
                    while self.accept(",")
                        || (upper == "OVERLAY" && self.accept_word("PLACING"))
                        || (matches!(upper, "OVERLAY" | "SUBSTRING" | "SUBSTR")
                            && (self.accept_word("FROM") || self.accept_word("FOR")))
                    {
                        args.push(self.climb(0)?);
                    }
                }
            }
        }
        self.expect(")")?;
        Ok(Kind::Call { name, args })
    }

    /// A unit of time as a text.
    fn unit(&mut self) -> Result<Expr, Fault> {
        let (name, at) = match self.peek().clone() {
            Token::Text(text) => {
                let at = self.span();
                self.advance();
                (text, at)
            }
            _ => self.name()?,
        };
        Ok(Expr::new(Kind::Text(name), at))
    }

    /// `INTERVAL '1' DAY`, `INTERVAL '1-6' YEAR TO MONTH`, `INTERVAL '1 02:03' DAY TO MINUTE`.
    fn interval(&mut self) -> Result<Kind, Fault> {
        let at = self.span();
        let (Token::Text(text) | Token::Number(text)) = self.peek().clone() else {
            return Err(self.unexpected("the length of the interval"));
        };
        self.advance();
        let (from, _) = self.name()?;
        if self.accept("(") {
            while !self.accept(")") {
                if matches!(self.peek(), Token::End) {
                    return Err(self.unexpected(")"));
                }
                self.advance();
            }
        }
        let to = if self.accept_word("TO") { Some(self.name()?.0) } else { None };
        interval(&text, &from, to.as_deref()).ok_or_else(|| {
            let unit = to.map_or(from.clone(), |to| format!("{from} TO {to}"));
            Fault::new(at, format!("'{text}' is not an interval of {unit}"))
                .hint("examples: INTERVAL '1' DAY, INTERVAL '1-6' YEAR TO MONTH, INTERVAL '1 02:03:04' DAY TO SECOND")
        })
    }
}

const SECOND: i64 = 1_000_000_000;

fn interval(text: &str, from: &str, to: Option<&str>) -> Option<Kind> {
    let order = ["YEAR", "QUARTER", "MONTH", "WEEK", "DAY", "HOUR", "MINUTE", "SECOND"];
    let nanos =
        [0, 0, 0, 7 * 86_400 * SECOND, 86_400 * SECOND, 3_600 * SECOND, 60 * SECOND, SECOND];
    let months = [12, 3, 1, 0, 0, 0, 0, 0];
    let place = |unit: &str| {
        let unit = unit.to_ascii_uppercase();
        order.iter().position(|known| *known == unit || format!("{known}S") == unit)
    };
    let first = place(from)?;
    let last = match to {
        Some(to) => place(to)?,
        None => first,
    };
    let text = text.trim();
    let (negative, text) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (mut all_months, mut all_nanos) = (0i64, 0i64);
    let fields: Vec<&str> = text.split([' ', ':', '-']).filter(|field| !field.is_empty()).collect();
    let units: Vec<usize> =
        (first..=last).filter(|&at| first == last || !matches!(at, 1 | 3)).collect();
    if fields.len() != units.len() {
        return None;
    }
    for (field, unit) in fields.iter().zip(units) {
        let (whole, fraction) = field.split_once('.').unwrap_or((field, ""));
        let whole: i64 = whole.parse().ok()?;
        all_months = all_months.checked_add(whole.checked_mul(months[unit])?)?;
        all_nanos = all_nanos.checked_add(whole.checked_mul(nanos[unit])?)?;
        if !fraction.is_empty() {
            if unit != 7 || fraction.len() > 9 || !fraction.bytes().all(|b| b.is_ascii_digit()) {
                return None;
            }
            all_nanos = all_nanos.checked_add(format!("{fraction:0<9}").parse().ok()?)?;
        }
    }
    let sign = if negative { -1 } else { 1 };
    Some(Kind::Interval { months: sign * all_months, nanos: sign * all_nanos })
}
