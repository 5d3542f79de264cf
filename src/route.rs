//! Routing: which sink table a source table's rows go to.

mod names;
mod router;

pub use names::{RouteFault, RouteField, RouteMode, RouteRule, RouteTable};
pub(crate) use router::Router;
