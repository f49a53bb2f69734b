struct Mine;

impl digime::reasons::CanBeCopied for Mine {}

fn main() {}
