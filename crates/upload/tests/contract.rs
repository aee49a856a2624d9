//! What every layer keeps.

use bartizan_upload::{AllowList, FileType, UploadLayer};

#[test]
fn what_is_no_form_passes_within_the_contract() {
    bartizan_testkit::contract(|| UploadLayer::new(AllowList::new([FileType::PNG]).unwrap())).check();
}
