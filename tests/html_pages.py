"""What an HTML page would fetch from the network."""

import re


def remote_parts(page: str) -> list[str]:
    """Return what a browser would fetch from the network for this page: everything but links to click on."""
    tags = re.findall(r"<(?!a[\s>])[a-z]+\s[^>]*>", page, re.IGNORECASE)
    attributes = [link for tag in tags for link in re.findall(r"(?:src|href|data)=[\"']?(?!data:)[^\"'\s>]+", tag)]
    code = re.findall(r"@import|url\([\"']?(?:https?:)?//|\bimport\(|\bfetch\(|XMLHttpRequest", page)
    return [part for part in attributes + code if not part.startswith('href="#')]
