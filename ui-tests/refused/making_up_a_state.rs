use digime::Unstarted;

fn forge() {
    let state = Unstarted(());
    println!("{state:?}");
}

fn main() {}
