//! What does not compile, and what the compiler says then.

#[test]
fn lay_08_a_stack_in_the_wrong_order_does_not_build_and_says_why() {
    let tests = trybuild::TestCases::new();
    tests.pass("tests/ui/right_order.rs");
    tests.compile_fail("tests/ui/wrong_order.rs");
    tests.compile_fail("tests/ui/missing_need.rs");
    tests.compile_fail("tests/ui/optional_provides_nothing.rs");
    tests.compile_fail("tests/ui/not_a_layer_of_ours.rs");
    tests.compile_fail("tests/ui/foreign_in_the_wrong_phase.rs");
}
