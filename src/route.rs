//! Routing: which sink table a source table's rows go to.

mod names;

pub use names::{RouteFault, RouteField, RouteMode, RouteRule, RouteTable};
