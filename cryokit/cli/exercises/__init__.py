"""What the exercise notebooks use: checks that answer with a hint, drawn data, quizzes; and where their sources lie."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submodules=["drawn_pictures", "drawn_tables", "published_comparison"],
    submod_attrs={"checking": ["Hint", "check"], "quizzes": ["quiz"]},
)
