//! No module uses one that is above it: the table of rooms in ARCHITECTURE.md, checked against the source.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use quote::ToTokens;
use syn::visit::{self, Visit};
use syn::{Attribute, Item, ItemMod, ItemUse, UseTree};

/// A module's path below the crate, such as `["flow", "suspended"]`.
type ModulePath = Vec<String>;

/// A module, and the modules and items of this crate that it names.
struct Module {
    path: ModulePath,
    names: Vec<ModulePath>,
}

/// The rows of ARCHITECTURE.md's table from the bottom up, each with the modules that belong to it.
fn rooms() -> Vec<Vec<ModulePath>> {
    let page = include_str!("../ARCHITECTURE.md");
    let (_, table) = page.split_once("## Rooms").expect("the table of rooms");
    let (table, _) = table.split_once("\n## ").expect("its end");
    let modules = |row: &str| {
        let first_column = row.split('|').nth(1)?;
        let code = first_column.split('`').skip(1).step_by(2);
        let modules: Vec<_> = code
            .filter_map(|path| path.strip_prefix("src/"))
            .map(|path| path.trim_end_matches('/').trim_end_matches(".rs"))
            .map(|path| path.split('/').map(str::to_owned).collect())
            .collect();
        (!modules.is_empty()).then_some(modules)
    };
    let mut rooms: Vec<_> = table.lines().filter_map(modules).collect();
    rooms.reverse();
    rooms
}

/// The room of a module or an item: the one with the longest path that it begins with.
fn room_of(path: &[String], rooms: &[Vec<ModulePath>]) -> Option<usize> {
    let in_rooms = rooms.iter().enumerate();
    let matching = in_rooms.flat_map(|(index, room)| {
        let modules = room.iter().filter(|module| path.starts_with(module));
        modules.map(move |module| (module.len(), index))
    });
    matching.max().map(|(_, index)| index)
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// Whether an item is compiled for tests or benchmarks alone.
fn is_for_tests(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        let text = attribute.to_token_stream().to_string();
        text.starts_with("# [cfg") && (text.contains("test") || text.contains("digime_bench"))
    })
}

/// The file of a module. The names of two files are possible.
fn read(path: &[String]) -> String {
    let file = path.iter().fold(root(), |folder, name| folder.join(name));
    let file = if path.is_empty() {
        root().join("lib.rs")
    } else {
        file.with_extension("rs")
    };
    std::fs::read_to_string(&file).unwrap_or_else(|_| panic!("no {}", file.display()))
}

/// The module and those below it, without those that are for tests alone.
fn collect(path: ModulePath, modules: &mut Vec<Module>) {
    let file = syn::parse_file(&read(&path)).expect("Rust");
    let mut names = Names {
        module: &path,
        found: Vec::new(),
    };
    names.visit_file(&file);
    let names = names.found;
    for item in &file.items {
        if let Item::Mod(ItemMod {
            attrs,
            ident,
            content: None,
            ..
        }) = item
            && !is_for_tests(attrs)
        {
            collect([path.clone(), vec![ident.to_string()]].concat(), modules);
        }
    }
    modules.push(Module { path, names });
}

/// Finds what a module names, in `use` declarations and in paths.
struct Names<'a> {
    module: &'a [String],
    found: Vec<ModulePath>,
}

impl Names<'_> {
    fn note(&mut self, path: &[String]) {
        let above = path.iter().take_while(|part| *part == "super").count();
        let path = match path.first().map(String::as_str) {
            Some("crate") => path[1..].to_vec(),
            Some("self") => [self.module, &path[1..]].concat(),
            Some("super") if above <= self.module.len() => {
                let parent = &self.module[..self.module.len() - above];
                [parent, &path[above..]].concat()
            }
            _ => return,
        };
        self.found.push(path);
    }

    fn note_tree(&mut self, tree: &UseTree, before: &[String]) {
        let with = |name: String| [before, &[name]].concat();
        match tree {
            UseTree::Path(path) => self.note_tree(&path.tree, &with(path.ident.to_string())),
            UseTree::Name(name) => self.note(&with(name.ident.to_string())),
            UseTree::Rename(name) => self.note(&with(name.ident.to_string())),
            UseTree::Glob(_) => self.note(before),
            UseTree::Group(group) => {
                for tree in &group.items {
                    self.note_tree(tree, before);
                }
            }
        }
    }
}

impl<'ast> Visit<'ast> for Names<'_> {
    fn visit_item(&mut self, item: &'ast Item) {
        let attributes = match item {
            Item::Mod(module) => &module.attrs,
            Item::Use(declaration) => &declaration.attrs,
            Item::Fn(function) => &function.attrs,
            Item::Impl(block) => &block.attrs,
            _ => &Vec::new(),
        };
        if !is_for_tests(attributes) {
            visit::visit_item(self, item);
        }
    }

    fn visit_item_use(&mut self, declaration: &'ast ItemUse) {
        self.note_tree(&declaration.tree, &[]);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let names: Vec<_> = path
            .segments
            .iter()
            .map(|part| part.ident.to_string())
            .collect();
        self.note(&names);
        visit::visit_path(self, path);
    }
}

fn modules() -> Vec<Module> {
    let mut modules = Vec::new();
    collect(Vec::new(), &mut modules);
    // The crate's root shows what it wants of every room, and so does what macros use.
    modules.retain(|module| module.path.first().is_some_and(|name| name != "__private"));
    modules
}

#[test]
fn every_module_belongs_to_a_room_and_every_room_has_modules() {
    let (rooms, modules) = (rooms(), modules());
    let mut inhabited = BTreeSet::new();
    for module in &modules {
        let room = room_of(&module.path, &rooms);
        assert!(room.is_some(), "{} has no room", module.path.join("::"));
        inhabited.extend(room);
    }
    assert_eq!(inhabited.len(), rooms.len(), "{rooms:?}");
}

#[test]
fn no_module_uses_one_that_is_above_it() {
    let rooms = rooms();
    let mut upwards = Vec::new();
    for module in modules() {
        let own = room_of(&module.path, &rooms);
        for name in &module.names {
            if room_of(name, &rooms) > own {
                upwards.push(format!(
                    "{} uses {}",
                    module.path.join("::"),
                    name.join("::")
                ));
            }
        }
    }
    assert!(upwards.is_empty(), "{upwards:#?}");
}

#[test]
fn the_places_that_contributing_names_exist() {
    let page = include_str!("../CONTRIBUTING.md");
    let (_, section) = page.split_once("## Where things are").expect("the section");
    let (section, _) = section
        .split_once("\n## Everyday commands")
        .expect("its end");
    let code: Vec<_> = section.split('`').skip(1).step_by(2).collect();
    let paths: Vec<_> = code.iter().filter(|code| code.contains('/')).collect();
    assert!(paths.len() > 10, "{paths:?}");
    for path in paths {
        let place = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
        assert!(place.exists(), "there is no {path}");
    }
    let errors = read(&["platform".into(), "error".into()]);
    for name in code.iter().filter_map(|code| code.split_once("::")) {
        assert!(
            errors.contains(&format!("fn {}", name.1)),
            "there is no {name:?}"
        );
    }
}
