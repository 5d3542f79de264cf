//! User-defined functions whose code is not SQL: how they are declared, and what the plan calls.
//!
//! In: a declaration and the bytes of a WebAssembly module. Out: a [`Routine`] that the planner finds by its name, or
//! what is wrong with either. The code itself runs in `wasm`, which only the cargo feature of that name builds.

use std::fmt;

use cdc_api::LogicalType as L;

use crate::{sql, types, value::Value};

/// What a call may use when the declaration names no limit: some tens of milliseconds.
const FUEL_DEFAULT: u64 = 50_000_000;
/// How much memory a module may have when the declaration names no limit.
const MEMORY_BYTES_DEFAULT: u64 = 16 << 20;
/// Arguments of one function.
const PARAMS_MAX: usize = 32;

/// A declaration as the pipeline file has it.
#[derive(Debug, Clone, Default)]
pub struct RoutineText {
    /// What rules call it.
    pub name: String,
    /// The types of its arguments, separated by commas.
    pub arguments: String,
    /// The type of its result.
    pub returns: String,
    /// The module's export; the function's name when none.
    pub export: Option<String>,
    /// Whether it is called for rows where an argument is NULL; their result is NULL otherwise.
    pub called_on_null: bool,
    /// How many instructions a call may run, about.
    pub fuel: Option<u64>,
    /// How much memory the module may have.
    pub memory_bytes: Option<u64>,
}

/// Which key of a declaration a fault is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RoutineKey {
    /// `name`
    Name,
    /// `arguments`
    Arguments,
    /// `returns`
    Returns,
    /// `export`, or `name` where it stands for it.
    Export,
    /// `wasm`: the module.
    Module,
}

/// A fault of a declaration: what is wrong, where, and how to mend it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoutineFault {
    /// The key whose value it is in.
    pub key: RoutineKey,
    /// The bytes of that value, when it is about a part of it.
    pub at: Option<std::ops::Range<usize>>,
    /// What is wrong.
    pub message: String,
    /// How to mend it.
    pub hint: Option<String>,
}

impl RoutineFault {
    pub(crate) fn new(key: RoutineKey, message: impl Into<String>) -> Self {
        RoutineFault { key, at: None, message: message.into(), hint: None }
    }
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
    fn of(key: RoutineKey, fault: sql::Fault) -> Self {
        let at = Some(fault.at.start..fault.at.end.max(fault.at.start + 1));
        RoutineFault { key, at, message: fault.message, hint: fault.hint }
    }
}

/// What a function takes, gives, and may use.
#[derive(Debug, Clone)]
pub(crate) struct Signature {
    pub(crate) name: String,
    pub(crate) params: Vec<L>,
    pub(crate) returns: L,
    #[cfg_attr(not(feature = "wasm"), allow(dead_code, reason = "read by the code alone"))]
    pub(crate) limits: Limits,
}

/// What one function may use.
#[derive(Debug, Clone, Copy)]
#[cfg_attr(not(feature = "wasm"), allow(dead_code, reason = "read by the code alone"))]
pub(crate) struct Limits {
    pub(crate) fuel: u64,
    pub(crate) memory_bytes: u64,
}

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let params: Vec<String> = self.params.iter().map(ToString::to_string).collect();
        write!(f, "{}({}) RETURNS {}", self.name, params.join(", "), self.returns)
    }
}

/// Code that is ready to run. What it keeps, it keeps for one batch: [`Code::open`] begins anew.
pub(crate) trait Code: fmt::Debug + Send + Sync {
    /// A fresh instance for the rows of one batch.
    fn open(&self) -> Result<Box<dyn Session>, String>;
}

/// One instance of a function's code.
pub(crate) trait Session {
    /// The result for one row; the message names the function and what it ran into.
    fn call(&mut self, args: &[Value<'_>]) -> Result<Value<'static>, String>;
}

/// A user-defined function in WebAssembly.
#[derive(Debug)]
pub struct Routine {
    pub(crate) signature: Signature,
    /// NULL in, NULL out, without a call.
    pub(crate) strict: bool,
    code: Box<dyn Code>,
}

impl Routine {
    /// Whether this build can run WebAssembly at all.
    pub const AVAILABLE: bool = cfg!(feature = "wasm");

    /// Checks a declaration against a module.
    ///
    /// # Errors
    /// All faults of the declaration, or else those of the module.
    pub fn compile(text: &RoutineText, module: &[u8]) -> Result<Routine, Vec<RoutineFault>> {
        let mut faults = Vec::new();
        if let Err(fault) = sql::identifier(&text.name) {
            faults.push(RoutineFault::of(RoutineKey::Name, fault));
        }
        let mut carried = |key: RoutineKey, types: Result<Vec<(L, sql::Span)>, sql::Fault>| {
            let mut found = Vec::new();
            for (ty, at) in types.map_err(|fault| faults.push(RoutineFault::of(key, fault))).ok()? {
                if !is_carried(&ty) {
                    let fault = sql::Fault::new(at, format!("{ty} cannot go into a module"))
                        .hint("take a STRING, and CAST where the function is called");
                    faults.push(RoutineFault::of(key, fault));
                }
                found.push(ty);
            }
            Some(found)
        };
        let params = carried(RoutineKey::Arguments, sql::types(&text.arguments));
        let returns = carried(RoutineKey::Returns, sql::types(&text.returns));
        if let Some(params) = &params
            && params.len() > PARAMS_MAX
        {
            let message = format!("a function takes at most {PARAMS_MAX} arguments");
            faults.push(RoutineFault::new(RoutineKey::Arguments, message));
        }
        let returns = match returns.as_deref() {
            Some([ty]) => Some(ty.clone()),
            Some(_) => {
                let fault = RoutineFault::new(RoutineKey::Returns, "a function has one result");
                faults.push(fault.hint("write a type such as BIGINT or STRING"));
                None
            }
            None => None,
        };
        let (Some(params), Some(returns), true) = (params, returns, faults.is_empty()) else {
            return Err(faults);
        };
        let limits = Limits {
            fuel: text.fuel.unwrap_or(FUEL_DEFAULT),
            memory_bytes: text.memory_bytes.unwrap_or(MEMORY_BYTES_DEFAULT),
        };
        let signature = Signature { name: text.name.clone(), params, returns, limits };
        let export = text.export.as_deref().unwrap_or(&text.name);
        let code = code(&signature, export, module).map_err(|fault| vec![fault])?;
        Ok(Routine { signature, strict: !text.called_on_null, code })
    }

    /// What rules call it.
    pub fn name(&self) -> &str {
        &self.signature.name
    }

    pub(crate) fn open(&self) -> Result<Box<dyn Session>, String> {
        self.code.open()
    }
}

#[cfg(feature = "wasm")]
fn code(signature: &Signature, export: &str, module: &[u8]) -> Result<Box<dyn Code>, RoutineFault> {
    crate::wasm::Module::compile(signature, export, module)
        .map(|module| Box::new(module) as Box<dyn Code>)
}

#[cfg(not(feature = "wasm"))]
fn code(_: &Signature, _: &str, _: &[u8]) -> Result<Box<dyn Code>, RoutineFault> {
    Err(RoutineFault::new(RoutineKey::Module, "this build of cdc-cli runs no WebAssembly").hint(
        "build it with `cargo build --release --features wasm`, or write the function in SQL: `- name(a, b) AS expression`",
    ))
}

/// Whether the plain interface has a form for a type.
fn is_carried(ty: &L) -> bool {
    types::is_text(ty)
        || types::is_bytes(ty)
        || types::is_number(ty)
        || matches!(ty, L::Boolean | L::Date | L::Time(_) | L::Timestamp(_) | L::TimestampLtz(_))
}
