//! Finds which file uses which, by the module paths that `syn` parses.
//!
//! A path is resolved as the compiler does it: through `use`, groups, globs, renames and re-exports to the file that
//! defines the item. A re-export (`pub use`) and the name of a module are no use of a file; the name of an item is.
//! Code under `#[cfg(test)]` is left out. Method calls are not resolved, because they name no path.

use std::collections::{BTreeMap, BTreeSet};

use syn::buffer::{Cursor, TokenBuffer};
use syn::visit::{self, Visit};
use syn::{Attribute, Item, UseTree, Visibility};

/// Source files: path from the root, and content.
pub type Sources = BTreeMap<String, String>;

/// The names that each file uses of each other file: `(user, used) -> names`.
pub type Uses = BTreeMap<(String, String), BTreeSet<String>>;

/// What a path resolves to.
#[derive(Clone)]
enum Target {
    Module(usize),
    /// The module that defines an item, and the item's name.
    Item(usize, String),
}

#[derive(Default)]
struct Module {
    file: String,
    /// The parent module, and the root of the crate.
    parent: usize,
    root: usize,
    children: BTreeMap<String, usize>,
    items: BTreeSet<String>,
    /// `use` declarations: the name that each binds, and its path.
    imports: BTreeMap<String, Vec<String>>,
    globs: Vec<Vec<String>>,
    /// Paths that use an item; `pub use` only re-exports it.
    written: Vec<Vec<String>>,
    /// Traits and the types of this crate that implement them.
    implementations: Vec<(Vec<String>, Vec<String>)>,
}

/// The modules of several crates.
pub struct Graph {
    modules: Vec<Module>,
    /// Roots by the name of the crate.
    crates: BTreeMap<String, usize>,
}

impl Graph {
    /// Parses the crates with these names and root files.
    pub fn parse(sources: &Sources, crates: &[(&str, &str)]) -> Self {
        let mut graph = Self { modules: Vec::new(), crates: BTreeMap::new() };
        for &(name, file) in crates {
            let root = graph.modules.len();
            graph.add_file(sources, file, folder_of(file), (root, root));
            graph.crates.insert(name.to_owned(), root);
        }
        graph
    }

    /// * `folder`: the folder of the files of its child modules
    fn add_file(&mut self, sources: &Sources, file: &str, folder: &str, above: (usize, usize)) -> usize {
        let text = sources.get(file).unwrap_or_else(|| panic!("{file} is declared as a module and is not there"));
        let parsed = syn::parse_file(text).unwrap_or_else(|error| panic!("{file}: {error}"));
        self.add_module(sources, file, folder, above, &parsed.items)
    }

    fn add_module(
        &mut self,
        sources: &Sources,
        file: &str,
        folder: &str,
        (parent, root): (usize, usize),
        items: &[Item],
    ) -> usize {
        let index = self.modules.len();
        let mut collector = Collector::default();
        items.iter().for_each(|item| collector.visit_item(item));
        self.modules.push(Module { file: file.to_owned(), parent, root, ..collector.module });
        for module in collector.children {
            let name = module.ident.to_string();
            let below = format!("{folder}/{name}");
            let child = match (&module.content, stated_path(&module.attrs)) {
                (Some((_, items)), _) => self.add_module(sources, file, &below, (index, root), items),
                (None, Some(path)) => {
                    let place = format!("{}/{path}", folder_of(file));
                    self.add_file(sources, &place, &below, (index, root))
                }
                (None, None) => {
                    let beside = format!("{below}.rs");
                    let place = if sources.contains_key(&beside) { beside } else { format!("{below}/mod.rs") };
                    self.add_file(sources, &place, &below, (index, root))
                }
            };
            self.modules[index].children.entry(name).or_insert(child);
        }
        index
    }

    /// Every use of one file by another, with the names used.
    pub fn uses(&self) -> Uses {
        let mut uses = Uses::new();
        for (index, module) in self.modules.iter().enumerate() {
            for path in &module.written {
                if let Some(Target::Item(at, name)) = self.resolve(index, path, &mut BTreeSet::new())
                    && self.modules[at].file != module.file
                {
                    uses.entry((module.file.clone(), self.modules[at].file.clone())).or_default().insert(name);
                }
            }
        }
        uses
    }

    /// The types that implement a trait of this name: `(file, type)`.
    pub fn implementations(&self, trait_name: &str) -> Vec<(String, String)> {
        let mut found = Vec::new();
        for (index, module) in self.modules.iter().enumerate() {
            for (implemented, implementer) in &module.implementations {
                let implemented = self.resolve(index, implemented, &mut BTreeSet::new());
                let is_it = matches!(implemented, Some(Target::Item(_, name)) if name == trait_name);
                if is_it && let Some(Target::Item(at, name)) = self.resolve(index, implementer, &mut BTreeSet::new()) {
                    found.push((self.modules[at].file.clone(), name));
                }
            }
        }
        found
    }

    /// What `path`, written in `module`, resolves to; `None` if these crates do not define it.
    fn resolve(&self, module: usize, path: &[String], tried: &mut BTreeSet<(usize, String)>) -> Option<Target> {
        let (first, rest) = path.split_first()?;
        let here = &self.modules[module];
        let mut target = match first.as_str() {
            "crate" => Target::Module(here.root),
            "self" => Target::Module(module),
            "super" => Target::Module(here.parent),
            name => match self.member(module, name, tried) {
                Some(target) => target,
                None => Target::Module(*self.crates.get(name)?),
            },
        };
        for name in rest {
            target = match target {
                Target::Module(at) if name == "super" => Target::Module(self.modules[at].parent),
                Target::Module(at) if name == "self" => Target::Module(at),
                Target::Module(at) => self.member(at, name, tried)?,
                // A variant, a constant or a function of the item.
                item => return Some(item),
            };
        }
        Some(target)
    }

    /// What `name` means in `module`: an item or a module in it, or what a `use` in it binds.
    fn member(&self, module: usize, name: &str, tried: &mut BTreeSet<(usize, String)>) -> Option<Target> {
        let here = &self.modules[module];
        if here.items.contains(name) {
            return Some(Target::Item(module, name.to_owned()));
        }
        if let Some(&child) = here.children.get(name) {
            return Some(Target::Module(child));
        }
        if !tried.insert((module, name.to_owned())) {
            return None;
        }
        let bound = here.imports.get(name).and_then(|path| self.resolve(module, path, tried));
        let through_glob = || {
            let mut globs = here.globs.iter().filter_map(|path| self.resolve(module, path, &mut tried.clone()));
            globs.find_map(|target| match target {
                Target::Module(at) => self.member(at, name, &mut tried.clone()),
                Target::Item(..) => None,
            })
        };
        let found = bound.or_else(through_glob);
        tried.remove(&(module, name.to_owned()));
        found
    }
}

/// The uses that are part of a cycle of files, or lie between two cycles.
pub fn cycles(uses: &Uses) -> Uses {
    let mut left = uses.clone();
    loop {
        let before = left.clone();
        left.retain(|(user, used), _| {
            before.keys().any(|(_, other)| other == user) && before.keys().any(|(other, _)| other == used)
        });
        if left.len() == before.len() {
            return left;
        }
    }
}

/// What one module declares and uses; does not enter its child modules.
#[derive(Default)]
struct Collector<'a> {
    module: Module,
    children: Vec<&'a syn::ItemMod>,
}

impl Collector<'_> {
    fn bind(&mut self, tree: &UseTree, prefix: &[String], hands_on: bool) {
        let with = |name: &syn::Ident| [prefix, &[name.to_string()]].concat();
        let mut named = |bound: String, path: Vec<String>| {
            self.module.written.extend((!hands_on).then(|| path.clone()));
            self.module.imports.insert(bound, path);
        };
        match tree {
            UseTree::Path(path) => self.bind(&path.tree, &with(&path.ident), hands_on),
            UseTree::Group(group) => group.items.iter().for_each(|tree| self.bind(tree, prefix, hands_on)),
            UseTree::Glob(_) => self.module.globs.push(prefix.to_vec()),
            UseTree::Name(name) if name.ident == "self" => {
                named(prefix.last().cloned().unwrap_or_default(), prefix.to_vec());
            }
            UseTree::Name(name) => named(name.ident.to_string(), with(&name.ident)),
            UseTree::Rename(rename) if rename.ident == "self" => named(rename.rename.to_string(), prefix.to_vec()),
            UseTree::Rename(rename) => named(rename.rename.to_string(), with(&rename.ident)),
        }
    }

    /// Paths among the tokens of a macro call, which are not parsed further.
    fn scan(&mut self, mut at: Cursor<'_>) {
        let mut path = Vec::new();
        let mut colons = 0;
        while !at.eof() {
            if let Some((name, next)) = at.ident() {
                if colons != 2 {
                    self.write(&mut path);
                }
                path.push(name.to_string());
                (colons, at) = (0, next);
            } else if let Some((punct, next)) = at.punct() {
                colons = if punct.as_char() == ':' { colons + 1 } else { 0 };
                if colons == 0 {
                    self.write(&mut path);
                }
                at = next;
            } else if let Some((inner, _, _, next)) = at.any_group() {
                self.write(&mut path);
                self.scan(inner);
                at = next;
            } else {
                let Some((_, next)) = at.token_tree() else { break };
                self.write(&mut path);
                at = next;
            }
        }
        self.write(&mut path);
    }

    fn write(&mut self, path: &mut Vec<String>) {
        if !path.is_empty() {
            self.module.written.push(std::mem::take(path));
        }
    }
}

impl<'a> Visit<'a> for Collector<'a> {
    fn visit_item(&mut self, item: &'a Item) {
        if is_test(item) {
            return;
        }
        let name = match item {
            Item::Mod(module) => return self.children.push(module),
            Item::Const(item) => Some(&item.ident),
            Item::Enum(item) => Some(&item.ident),
            Item::Fn(item) => Some(&item.sig.ident),
            Item::Macro(item) => item.ident.as_ref(),
            Item::Static(item) => Some(&item.ident),
            Item::Struct(item) => Some(&item.ident),
            Item::Trait(item) => Some(&item.ident),
            Item::Type(item) => Some(&item.ident),
            Item::Union(item) => Some(&item.ident),
            _ => None,
        };
        self.module.items.extend(name.map(ToString::to_string));
        visit::visit_item(self, item);
    }

    fn visit_item_use(&mut self, item: &'a syn::ItemUse) {
        self.bind(&item.tree, &[], !matches!(item.vis, Visibility::Inherited));
    }

    fn visit_item_impl(&mut self, item: &'a syn::ItemImpl) {
        if let (Some((_, implemented, _)), syn::Type::Path(implementer)) = (&item.trait_, &*item.self_ty) {
            self.module.implementations.push((names(implemented), names(&implementer.path)));
        }
        visit::visit_item_impl(self, item);
    }

    fn visit_path(&mut self, path: &'a syn::Path) {
        self.write(&mut names(path));
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, call: &'a syn::Macro) {
        self.write(&mut names(&call.path));
        self.scan(TokenBuffer::new2(call.tokens.clone()).begin());
    }

    fn visit_attribute(&mut self, _: &'a Attribute) {}

    fn visit_visibility(&mut self, _: &'a Visibility) {}
}

fn folder_of(file: &str) -> &str {
    file.rsplit_once('/').map_or("", |(folder, _)| folder)
}

fn names(path: &syn::Path) -> Vec<String> {
    path.segments.iter().map(|segment| segment.ident.to_string()).collect()
}

fn is_test(item: &Item) -> bool {
    let attributes = match item {
        Item::Const(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => return false,
    };
    let only_in_tests = |attribute: &Attribute| {
        attribute.path().is_ident("cfg") && attribute.parse_args::<syn::Path>().is_ok_and(|path| path.is_ident("test"))
    };
    attributes.iter().any(only_in_tests)
}

/// `FILE` of `#[path = "FILE"]`.
fn stated_path(attributes: &[Attribute]) -> Option<String> {
    let attribute = attributes.iter().find(|attribute| attribute.path().is_ident("path"))?;
    match &attribute.meta.require_name_value().ok()?.value {
        syn::Expr::Lit(syn::ExprLit { lit: syn::Lit::Str(path), .. }) => Some(path.value()),
        _ => None,
    }
}
