"""What an HTML page would fetch from the network."""

import re


def remote_parts(page: str) -> list[str]:
    """Return what a browser would fetch from the network for this page: everything but links to click on."""
    tags = re.findall(r"<(?!a[\s>])[a-z]+\s[^>]*>", page, re.IGNORECASE)
    attributes = [link for tag in tags for link in re.findall(r"(?:src|href|data)=[\"']?(?!data:)[^\"'\s>]+", tag)]
    code = re.findall(r"@import|url\([\"']?(?:https?:)?//|\bimport\(|\bfetch\(|XMLHttpRequest", page)
    return [part for part in attributes + code if not part.startswith('href="#')]


def without_alternative_text(page: str) -> list[str]:
    """Return the pictures of a page, shortened, that have no alternative text of their own."""
    pictures = re.findall(r"<img\b[^>]*>", page)
    texts = [re.search(r'\balt="([^"]*)"', picture) for picture in pictures]
    return [
        picture[:80]
        for picture, text in zip(pictures, texts, strict=True)
        if text is None or not text[1].strip() or text[1].startswith("No description has been provided")
    ]
