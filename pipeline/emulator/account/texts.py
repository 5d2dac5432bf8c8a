"""Words, names and awkward strings that the generated corpus is written with."""

import random
from typing import Final

UNICODE_SAMPLES: Final = (
    "Étude de marché: café, naïveté, façade",
    "e\u0301 and n\u0303 as combining sequences",
    "注文番号は東京支店に送られました。",
    "주문이 접수되었습니다 ✅",
    "שלום, הזמנה מספר 42 \u200fנשלחה",
    "مرحبا، تم شحن الطلب \u202bرقم ٤٢\u202c",
    "👩‍👩‍👧‍👦 family, 🏳️‍🌈 flag, 👍🏽 thumb, 🧮 sum",
    "line\u2028separator and paragraph\u2029separator",
    'quote " backslash \\ slash / tab \t newline \n end',
    "control \u0001 \u001f \u007f and zero width \u200b\ufeff",
    "astral 𝒳 𐍈 𠜎 and ﷽",
    "</script><b>&amp;</b> %s {0} ${x} '; drop table runs; --",
)

CUSTOMERS: Final = (
    "northwind",
    "contoso",
    "fabrikam",
    "adventure-works",
    "tailspin",
    "wingtip",
    "litware",
    "proseware",
    "Größenwahn GmbH",
    "株式会社サンプル",
)
# A few customers bring most of the traffic.
CUSTOMER_WEIGHTS: Final = (30, 22, 14, 9, 7, 6, 5, 4, 2, 1)

CITIES: Final = ("Paris", "Lisbon", "Osaka", "Zürich", "São Paulo", "Kraków", "Denver", "Cairo")
PRODUCTS: Final = ("trail tent", "camp stove", "rain jacket", "head lamp", "sleeping bag", "water filter")
FILE_NAMES: Final = (
    "returns-policy.pdf",
    "price-list-2026.xlsx",
    "msa_acme_signed.docx",
    "handbook.md",
    "Übersicht Q2.pdf",
    "契約書.pdf",
    "faq.txt",
)
QUESTIONS: Final = (
    "warranty terms for the trail tent",
    "termination notice period",
    "revenue by region last quarter",
    "parental leave policy",
    "latest guidance on packaging waste",
    "how to reset a head lamp",
)
PASSAGES: Final = (
    "Goods may be returned within 30 days of delivery when unused and in their original packing.",
    "Either party may end this agreement with 60 days of written notice to the other party.",
    "The supplier's total liability is limited to the fees paid in the twelve months before the claim.",
    "Employees earn 2.5 days of leave per month; unused days expire on 31 March of the next year.",
    "Rated to -5 °C; comfort limit 0 °C; fill power 650; packed weight 1.1 kg.",
)

_ALPHABET: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"


def make_id(rng: random.Random, prefix: str) -> str:
    """An object id as the server writes it: the prefix and 24 letters or digits."""
    return prefix + "".join(rng.choices(_ALPHABET, k=24))


def write_log(rng: random.Random, size: int) -> str:
    """A plausible training log of about `size` characters."""
    line = "epoch {0:05d} loss={1:.4f} acc={2:.4f} lr=1e-04 elapsed={3}ms\n"
    lines: list[str] = []
    written = 0
    while written < size:
        text = line.format(len(lines), rng.random(), rng.random(), rng.randrange(900))
        lines.append(text)
        written += len(text)
    return "".join(lines)


def pick_customer(rng: random.Random) -> str:
    """The customer of a thread, heavy ones more often."""
    return rng.choices(CUSTOMERS, weights=CUSTOMER_WEIGHTS)[0]
