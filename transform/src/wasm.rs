//! WebAssembly modules as functions: checked when they are compiled, run with fuel and bounded memory.
//!
//! The plain interface that docs/transform.md describes. A module sees nothing but its arguments: no clock, no file, no
//! random numbers; its floats have one NaN, and each batch has a fresh instance of it.

use std::{borrow::Cow, fmt, sync::OnceLock};

use cdc_api::LogicalType as L;
use wasmtime::{
    Caller, Config, Engine, ExternType, Func, InstancePre, Linker, Memory, ResourceLimiter, Store,
    Trap, TypedFunc, Val, ValType,
};

use crate::{
    decimal,
    routine::{Code, Limits, RoutineFault, RoutineKey, Session, Signature},
    text, types,
    value::{Moment, Value},
};

const HOST: &str = "cdc";
const ALLOC: &str = "cdc_alloc";
const FREE: &str = "cdc_free";
const MEMORY: &str = "memory";
const STACK_BYTES_MAX: usize = 512 << 10;
const TABLE_ELEMENTS_MAX: usize = 100_000;
/// A message of a module is for a person.
const MESSAGE_BYTES_MAX: usize = 1000;
const MICROS: i64 = 1_000_000;
const DAY_MICROS: i64 = 86_400 * MICROS;

/// A module that fits its declaration.
pub(crate) struct Module {
    signature: Signature,
    export: String,
    instance: InstancePre<State>,
}

impl fmt::Debug for Module {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "module of {}", self.signature)
    }
}

/// What the host knows of the call that runs.
struct State {
    limits: Limits,
    /// Which arguments are NULL.
    nulls: Vec<bool>,
    /// Whether the module said that the result is NULL.
    is_null: bool,
}

/// What stops a module besides a trap: its own message, or a limit of the host's.
#[derive(Debug)]
enum Stop {
    Failed(String),
    Memory,
    Table,
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Stop::Failed(message) => f.write_str(message),
            Stop::Memory => f.write_str("more memory than allowed"),
            Stop::Table => f.write_str("a table larger than allowed"),
        }
    }
}

impl std::error::Error for Stop {}

impl ResourceLimiter for State {
    fn memory_growing(&mut self, _: usize, to: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        if to as u64 > self.limits.memory_bytes { Err(Stop::Memory.into()) } else { Ok(true) }
    }
    fn table_growing(&mut self, _: usize, to: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        if to > TABLE_ELEMENTS_MAX { Err(Stop::Table.into()) } else { Ok(true) }
    }
}

/// One engine for all modules of the process.
fn engine() -> Result<&'static Engine, String> {
    static ENGINE: OnceLock<Result<Engine, String>> = OnceLock::new();
    let made = ENGINE.get_or_init(|| {
        let mut config = Config::new();
        config
            .consume_fuel(true)
            .cranelift_nan_canonicalization(true)
            .wasm_relaxed_simd(false)
            .max_wasm_stack(STACK_BYTES_MAX)
            // Checks in the code rather than guard pages and signal handlers, which belong to the process.
            .signals_based_traps(false)
            .memory_reservation(0)
            .memory_guard_size(0)
            .memory_reservation_for_growth(1 << 20);
        Engine::new(&config).map_err(|error| error.to_string())
    });
    made.as_ref().map_err(Clone::clone)
}

fn linker(engine: &Engine) -> wasmtime::Result<Linker<State>> {
    let mut linker = Linker::new(engine);
    linker.func_wrap(HOST, "null", |mut caller: Caller<'_, State>| {
        caller.data_mut().is_null = true;
    })?;
    linker.func_wrap(HOST, "is_null", |caller: Caller<'_, State>, at: i32| {
        let nulls = &caller.data().nulls;
        i32::from(usize::try_from(at).ok().and_then(|at| nulls.get(at)).copied().unwrap_or(false))
    })?;
    linker.func_wrap(HOST, "fail", |mut caller: Caller<'_, State>, at: i32, len: i32| {
        let memory = caller.get_export(MEMORY).and_then(wasmtime::Extern::into_memory);
        let bytes = memory.and_then(|memory| {
            let start = at as u32 as usize;
            memory.data(&caller).get(start..start.checked_add(len as u32 as usize)?)
        });
        let bytes = bytes.unwrap_or_default();
        let bytes = bytes.get(..MESSAGE_BYTES_MAX).unwrap_or(bytes);
        let message = String::from_utf8_lossy(bytes).into_owned();
        Err::<(), _>(wasmtime::Error::from(Stop::Failed(message)))
    })?;
    Ok(linker)
}

/// What stands for a type in a module's signature.
fn carriers(ty: &L) -> &'static [ValType] {
    match ty {
        L::Boolean | L::TinyInt | L::SmallInt | L::Int | L::Date => &[ValType::I32],
        L::BigInt | L::Time(_) | L::Timestamp(_) | L::TimestampLtz(_) => &[ValType::I64],
        L::Float => &[ValType::F32],
        L::Double => &[ValType::F64],
        _ => &[ValType::I32, ValType::I32],
    }
}

/// What stands for the type of a result.
fn carrier(ty: &L) -> ValType {
    match carriers(ty) {
        [only] => only.clone(),
        // Address and length in one.
        _ => ValType::I64,
    }
}

fn is_in_memory(ty: &L) -> bool {
    carriers(ty).len() > 1
}

fn shown(params: &[ValType], results: &[ValType]) -> String {
    let list =
        |types: &[ValType]| types.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    format!("({}) -> ({})", list(params), list(results))
}

/// A function type that an export has to have.
struct Wanted<'s> {
    export: &'s str,
    params: Vec<ValType>,
    results: Vec<ValType>,
}

impl Wanted<'_> {
    fn check(
        &self,
        module: &wasmtime::Module,
        key: RoutineKey,
        why: &str,
    ) -> Result<(), RoutineFault> {
        let Wanted { export, params, results } = self;
        let wanted = shown(params, results);
        let found = match module.get_export(export) {
            Some(ExternType::Func(found)) => found,
            Some(_) => {
                let message = format!("the module's export `{export}` is no function");
                return Err(RoutineFault::new(key, message));
            }
            None => {
                let functions: Vec<String> = module
                    .exports()
                    .filter(|export| matches!(export.ty(), ExternType::Func(_)))
                    .map(|export| format!("`{}`", export.name()))
                    .collect();
                let hint = match functions.is_empty() {
                    true => format!("it exports no function at all; {why} {wanted}"),
                    false => format!("it exports {}; {why} {wanted}", functions.join(", ")),
                };
                let message = format!("the module has no export `{export}`");
                return Err(RoutineFault::new(key, message).hint(hint));
            }
        };
        let (has, gives): (Vec<ValType>, Vec<ValType>) =
            (found.params().collect(), found.results().collect());
        let same = |a: &[ValType], b: &[ValType]| {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| ValType::eq(a, b))
        };
        if same(&has, params) && same(&gives, results) {
            return Ok(());
        }
        let message = format!("the module's `{export}` is {}", shown(&has, &gives));
        Err(RoutineFault::new(key, message).hint(format!("{why} {wanted}")))
    }
}

impl Module {
    pub(crate) fn compile(
        signature: &Signature,
        export: &str,
        bytes: &[u8],
    ) -> Result<Module, RoutineFault> {
        let broken = |message: String| RoutineFault::new(RoutineKey::Module, message);
        let engine = engine().map_err(broken)?;
        let module = wasmtime::Module::new(engine, bytes).map_err(|error| {
            broken(format!("the file is no WebAssembly module: {}", error.root_cause()))
                .hint("compile for the target wasm32-unknown-unknown")
        })?;
        let linker = linker(engine).map_err(|error| broken(error.to_string()))?;
        for import in module.imports() {
            let is_known =
                import.module() == HOST && ["null", "is_null", "fail"].contains(&import.name());
            if !is_known {
                let name = format!("{}.{}", import.module(), import.name());
                return Err(broken(format!("the module imports `{name}`, which is not there")).hint(
                    "a function sees nothing but its arguments: build without WASI and without a host's own imports (cdc.null, cdc.is_null and cdc.fail are there)",
                ));
            }
        }
        let wanted = Wanted {
            export,
            params: signature.params.iter().flat_map(|ty| carriers(ty).iter().cloned()).collect(),
            results: vec![carrier(&signature.returns)],
        };
        wanted.check(&module, RoutineKey::Export, &format!("{signature} needs"))?;
        let reads = signature.params.iter().any(is_in_memory);
        if reads || is_in_memory(&signature.returns) {
            if !matches!(module.get_export(MEMORY), Some(ExternType::Memory(_))) {
                return Err(broken(format!("the module has no export `{MEMORY}`"))
                    .hint("texts go through the module's memory: export it"));
            }
            let i32s = |count: usize| vec![ValType::I32; count];
            let alloc = Wanted { export: ALLOC, params: i32s(1), results: i32s(1) };
            let free = Wanted { export: FREE, params: i32s(2), results: i32s(0) };
            if reads {
                alloc.check(&module, RoutineKey::Module, "texts are put where it says:")?;
            }
            if module.get_export(FREE).is_some() {
                free.check(&module, RoutineKey::Module, "it takes a text's place and length:")?;
            }
        }
        let instance = linker
            .instantiate_pre(&module)
            .map_err(|error| broken(format!("the module does not fit: {}", error.root_cause())))?;
        let module = Module { signature: signature.clone(), export: export.to_owned(), instance };
        // Data, tables and the start function too are within the limits.
        module.open().map_err(broken)?;
        Ok(module)
    }

    fn instance(&self) -> wasmtime::Result<Instance> {
        let signature = self.signature.clone();
        let state = State { limits: signature.limits, nulls: Vec::new(), is_null: false };
        let mut store = Store::new(self.instance.module().engine(), state);
        store.limiter(|state| state);
        store.set_fuel(signature.limits.fuel)?;
        let instance = self.instance.instantiate(&mut store)?;
        let missing = || wasmtime::Error::msg("an export is gone");
        let function = instance.get_func(&mut store, &self.export).ok_or_else(missing)?;
        let reads = signature.params.iter().any(is_in_memory);
        let alloc = reads.then(|| instance.get_typed_func(&mut store, ALLOC)).transpose()?;
        let (memory, free) = if reads || is_in_memory(&signature.returns) {
            let memory = instance.get_memory(&mut store, MEMORY).ok_or_else(missing)?;
            (Some(memory), instance.get_typed_func(&mut store, FREE).ok())
        } else {
            (None, None)
        };
        let places = Vec::with_capacity(signature.params.len());
        let inputs = Vec::with_capacity(2 * signature.params.len());
        Ok(Instance { signature, store, function, memory, alloc, free, places, inputs })
    }
}

impl Code for Module {
    fn open(&self) -> Result<Box<dyn Session>, String> {
        match self.instance() {
            Ok(instance) => Ok(Box::new(instance)),
            Err(error) => Err(told(&self.signature, &error)),
        }
    }
}

/// What stopped a module, with the way out.
fn told(signature: &Signature, error: &wasmtime::Error) -> String {
    let (name, limits) = (&signature.name, signature.limits);
    if let Some(stop) = error.downcast_ref::<Stop>() {
        return match stop {
            Stop::Failed(message) => format!("the function {name} failed: {message}"),
            Stop::Memory => format!(
                "the function {name} needs more memory than its limit of {} KiB; raise its `memory`, or export {FREE} so that texts are given back",
                limits.memory_bytes >> 10
            ),
            Stop::Table => format!(
                "the function {name} needs a table of more than {TABLE_ELEMENTS_MAX} elements"
            ),
        };
    }
    match error.downcast_ref::<Trap>() {
        Some(Trap::OutOfFuel) => format!(
            "the function {name} did not end within its fuel of {} (one for each instruction, about); raise its `fuel` if it may run longer",
            limits.fuel
        ),
        Some(Trap::StackOverflow) => {
            format!(
                "the function {name} calls itself too deeply ({} KiB of stack)",
                STACK_BYTES_MAX >> 10
            )
        }
        Some(Trap::UnreachableCodeReached) => {
            format!("the function {name} gave up (`unreachable`, as a panic or an abort does)")
        }
        Some(trap) => format!("the function {name} failed: {trap}"),
        None => format!("the function {name} failed: {}", error.root_cause()),
    }
}

/// A module's instance at work.
struct Instance {
    signature: Signature,
    store: Store<State>,
    function: Func,
    memory: Option<Memory>,
    alloc: Option<TypedFunc<i32, i32>>,
    free: Option<TypedFunc<(i32, i32), ()>>,
    /// The texts of the call that runs: place and length.
    places: Vec<(i32, i32)>,
    inputs: Vec<Val>,
}

impl Session for Instance {
    fn call(&mut self, args: &[Value<'_>]) -> Result<Value<'static>, String> {
        self.run(args).map_err(|error| told(&self.signature, &error))?
    }
}

impl Instance {
    /// The outer error is the module's end, the inner one a result that is none.
    fn run(&mut self, args: &[Value<'_>]) -> wasmtime::Result<Result<Value<'static>, String>> {
        self.store.set_fuel(self.signature.limits.fuel)?;
        let state = self.store.data_mut();
        state.is_null = false;
        state.nulls.clear();
        state.nulls.extend(args.iter().map(Value::is_null));
        self.places.clear();
        self.inputs.clear();
        for (at, arg) in args.iter().enumerate() {
            self.put(at, arg)?;
        }
        let mut output = [Val::I64(0)];
        self.function.call(&mut self.store, &self.inputs, &mut output)?;
        let is_null = self.store.data().is_null;
        let result = if is_null { Ok(Value::Null) } else { self.result(&output[0])? };
        while let Some((at, len)) = self.places.pop() {
            if let Some(free) = &self.free {
                free.call(&mut self.store, (at, len))?;
            }
        }
        Ok(result)
    }

    /// One argument as the module takes it; NULL is 0 or an empty text.
    fn put(&mut self, at: usize, arg: &Value<'_>) -> wasmtime::Result<()> {
        let Some(ty) = self.signature.params.get(at) else {
            return Err(wasmtime::Error::msg("more arguments than declared"));
        };
        if is_in_memory(ty) {
            let bytes: Cow<'_, [u8]> = match arg {
                Value::Null => Cow::Borrowed(&[]),
                Value::Text(text) => Cow::Borrowed(text.as_bytes()),
                Value::Bytes(bytes) => Cow::Borrowed(bytes),
                other => Cow::Owned(text::display(other).into_bytes()),
            };
            let place = self.write(&bytes)?;
            self.inputs.extend([Val::I32(place.0), Val::I32(place.1)]);
            return Ok(());
        }
        let micros = |moment: &Moment| moment.units(MICROS).unwrap_or(i64::MAX);
        let number = match arg {
            Value::Bool(v) => i64::from(*v),
            Value::Int(v) => *v,
            Value::Date(v) => i64::from(*v),
            Value::Time(v) => v / 1000,
            Value::Timestamp(moment) | Value::Instant(moment) => micros(moment),
            _ => 0,
        };
        self.inputs.push(match (ty, arg) {
            (L::Float, Value::Float(v)) => Val::F32(v.to_bits()),
            (L::Float, _) => Val::F32(0),
            (L::Double, Value::Double(v)) => Val::F64(v.to_bits()),
            (L::Double, _) => Val::F64(0),
            _ if matches!(carriers(ty), [ValType::I64]) => Val::I64(number),
            // Of a type whose values are all within 32 bits.
            _ => Val::I32(number as i32),
        });
        Ok(())
    }

    /// A text in the module's memory: where, and how long.
    fn write(&mut self, bytes: &[u8]) -> wasmtime::Result<(i32, i32)> {
        let (Some(alloc), Some(memory), false) = (&self.alloc, &self.memory, bytes.is_empty())
        else {
            return Ok((0, 0));
        };
        let Ok(len) = i32::try_from(bytes.len()) else { return Err(Stop::Memory.into()) };
        let at = alloc.call(&mut self.store, len)?;
        if memory.write(&mut self.store, at as u32 as usize, bytes).is_err() {
            let message = format!("{ALLOC}({len}) gave a place outside of the memory");
            return Err(Stop::Failed(message).into());
        }
        self.places.push((at, len));
        Ok((at, len))
    }

    fn result(&mut self, output: &Val) -> wasmtime::Result<Result<Value<'static>, String>> {
        let (name, ty) = (&self.signature.name, &self.signature.returns);
        let wrong = |what: String| Ok(Err(format!("the function {name} returned {what}")));
        if !is_in_memory(ty) {
            return match number(ty, output) {
                Some(value) => Ok(Ok(value)),
                None => {
                    let shown = output.i64().or(output.i32().map(i64::from)).unwrap_or(0);
                    wrong(format!("{shown}, which is no {ty}"))
                }
            };
        }
        let packed = output.i64().unwrap_or(0) as u64;
        let (at, len) = ((packed >> 32) as usize, (packed & 0xffff_ffff) as usize);
        let data = self.memory.map_or(&[][..], |memory| memory.data(&self.store));
        let Some(bytes) = data.get(at..at + len) else {
            return wrong(format!("a text of {len} bytes at {at}, which is outside of its memory"));
        };
        let value = if types::is_bytes(ty) {
            Value::Bytes(Cow::Owned(bytes.to_vec()))
        } else {
            match std::str::from_utf8(bytes) {
                Ok(text) => Value::text(text.to_owned()),
                Err(_) => return wrong("a text that is not UTF-8".to_owned()),
            }
        };
        let value = match (ty, &value) {
            (L::Decimal { precision, scale }, Value::Text(text)) => {
                let room = decimal::pow10(u32::from(*precision)).unwrap_or(i128::MAX);
                let parsed = decimal::parse(text)
                    .and_then(|(v, from)| decimal::rescale(v, from, *scale))
                    .filter(|v| v.unsigned_abs() < room.unsigned_abs());
                match parsed {
                    Some(v) => Value::Decimal(v, *scale),
                    None => return wrong(format!("\"{text}\", which is no {ty}")),
                }
            }
            _ => value,
        };
        // Packed from two halves of 32 bits each.
        if len > 0 {
            self.places.push((at as i32, len as i32));
        }
        Ok(Ok(value))
    }
}

/// A result that is no text, or none when it is outside of its type.
fn number(ty: &L, output: &Val) -> Option<Value<'static>> {
    Some(match (ty, output) {
        (L::Boolean, Val::I32(v)) => Value::Bool(*v != 0),
        (L::TinyInt, Val::I32(v)) => Value::Int(i8::try_from(*v).ok()?.into()),
        (L::SmallInt, Val::I32(v)) => Value::Int(i16::try_from(*v).ok()?.into()),
        (L::Int, Val::I32(v)) => Value::Int((*v).into()),
        (L::Date, Val::I32(v)) => Value::Date(*v),
        (L::BigInt, Val::I64(v)) => Value::Int(*v),
        (L::Time(_), Val::I64(v)) => {
            Value::Time((0..DAY_MICROS).contains(v).then(|| v.saturating_mul(1000))?)
        }
        (L::Timestamp(_), Val::I64(v)) => Value::Timestamp(Moment::of(*v, MICROS)),
        (L::TimestampLtz(_), Val::I64(v)) => Value::Instant(Moment::of(*v, MICROS)),
        (L::Float, Val::F32(bits)) => Value::Float(f32::from_bits(*bits)),
        (L::Double, Val::F64(bits)) => Value::Double(f64::from_bits(*bits)),
        _ => return None,
    })
}
