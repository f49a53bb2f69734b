struct Mine;

impl digime::reasons::CanBeCloned for Mine {}

fn main() {}
