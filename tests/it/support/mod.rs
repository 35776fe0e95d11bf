//! What the tests share: BTF made to measure, real kernels, compilers.

pub mod btfgen;
pub mod btfread;
pub mod btfwrite;
pub mod compile;
pub mod dump;
pub mod hostile;
pub mod kernels;
pub mod shrink;
pub mod twingen;
pub mod typegen;
