fn main() {
    let mut sources = balance::diag::Sources::default();
    for path in std::env::args().skip(1) {
        let text = std::fs::read_to_string(&path).unwrap();
        let file = sources.add(balance::diag::Source { name: path.clone(), text: text.clone() });
        let (tree, errors) = balance::syntax::parse(file, &text);
        print!("{}", balance::syntax::print(&tree));
        print!("{}", balance::diag::render(&sources, &errors, balance::diag::Look::plain()));
    }
}
