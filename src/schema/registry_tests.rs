//! What changes of source tables do to sink tables, per behaviour and route.
