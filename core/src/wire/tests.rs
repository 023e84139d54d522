use super::*;

#[test]
fn a_frame_fits_into_96_octets() {
    assert!(size_of::<Frame<'_>>() <= 96, "{} octets", size_of::<Frame<'_>>());
}
