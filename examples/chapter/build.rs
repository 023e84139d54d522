fn main() -> Result<(), posthaste_compiler::BuildError> {
    posthaste_compiler::Build::new().compile("chapter.x")
}
