//! The macro that defines reasons.

/// Defines reasons: the texts of compile errors about calls that are wrong in a state.
///
/// Each reason has a name, a message, a label for the place of the call, and a note that says what to write instead. `{Self}`
/// in a message is the state. A reason is a trait that no type can have. The reasons of this library are defined by this macro too.
/// [`calls!`](crate::calls) and [`wrong_calls!`](crate::wrong_calls) use reasons.
///
/// ```
/// digime::reasons! {
///     pub IsApproved:
///         "cannot push yet: `UnderReview` waits for a reviewer",
///         "nobody has approved the push",
///         "let somebody approve it, `let approved = under_review.approve(by).await?;`, then push";
/// }
/// ```
#[macro_export]
macro_rules! reasons {
    ($($(#[$attribute:meta])* $visibility:vis $name:ident: $message:literal, $label:literal, $note:literal;)*) => {
        $(
            $(#[$attribute])*
            #[doc = ::std::concat!($message, ": ", $label, ".")]
            #[diagnostic::on_unimplemented(message = $message, label = $label, note = $note)]
            $visibility trait $name: $crate::__private::Never {}
        )*
    };
}
