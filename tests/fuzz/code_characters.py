"""Input for forged ticket codes: points of small order, and lookalike and invisible characters."""

#: The y coordinates of the eight points of small order, and their non-canonical encodings (RFC 7748; the list is from
#: "Taming the Many EdDSAs", Chalkias and others, 2020, table 5).
SMALL_ORDER = tuple(
    bytes.fromhex(each)
    for each in (
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0000000000000000000000000000000000000000000000000000000000000080",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000080",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    )
)
#: Characters that look like those of a code, or become them by case folding or normalization.
LOOKALIKES = {
    "A": "\u0410\u0391\uff41",
    "B": "\u0412\u0392",
    "E": "\u0415\u0395",
    "I": "\u0406\u0399\u0131",
    "K": "\u041a\u039a\u212a",
    "O": "\u041e\u039f",
    "S": "\u0405\u017f",
    "T": "\u0422\u03a4",
    "2": "\uff12\u00b2",
    ".": "\uff0e\u3002\u2027",
}
_SPACES = " \t\n\r\0\u00a0\u200b\u200d\u2060\ufeff\u202e\u0301+"
INVISIBLE = (*_SPACES, "%20")
