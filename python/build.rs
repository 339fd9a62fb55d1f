//! Lets the names of the interpreter stay open until the module is loaded, which the linker of macOS must be told.

fn main() {
    pyo3_build_config::add_extension_module_link_args();
}
