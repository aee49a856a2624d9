//! What does not compile, and what the compiler says then.
#![cfg(feature = "full")]

#[test]
fn lay_08_a_stack_in_the_wrong_order_does_not_build_and_says_why() {
    let tests = trybuild::TestCases::new();
    tests.pass("tests/ui/right_order.rs");
    tests.compile_fail("tests/ui/fail/*.rs");
}
