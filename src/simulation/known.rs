//! Defects of the library that are known and not mended yet. What they break is not reported while they are named here:
//! whoever mends one removes it.

/// A store may do a `put` and say that it failed. A flow that is put back is then put once more, although `claim`, which
/// leaves no mark, may have given it out in between: the flow is parked again after its code was sent. The built-in stores
/// repeat a `put` themselves and do it once; a store that can put a record only if nothing came in between would end it.
pub const FLOWS_ARE_PUT_BACK_BLINDLY: bool = true;
