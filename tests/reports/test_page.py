"""The page: text is escaped, pictures are inside."""

import base64

import pytest

from crmnet.reports.page import bullets, paragraph, picture, table, write_page


def test_text_of_the_user_is_escaped(tmp_path):
    path = tmp_path / "page.html"
    write_page(
        path, "a <b> & c",
        {"": [paragraph("<script>")], "x < y": [bullets(["<i>"]), table({"<n>": ["<v>", 1.5]})]},
    )  # fmt: skip
    text = path.read_text()
    assert "<title>a &lt;b&gt; &amp; c</title>" in text
    for harmful in ("<script>", "<i>", "<v>", "<n>", "<b>"):
        assert harmful not in text
    assert '<td class="number">1.5</td>' in text
    assert "<td>&lt;v&gt;</td>" in text
    assert text.count("<h2>") == 1


def test_sequences_have_a_type_of_their_own():
    assert '<td class="bases">ACGT</td>' in table({"s": ["ACGT"]}, bases=("s",))


def test_a_picture_is_inside_the_page(tmp_path):
    file = tmp_path / "a.png"
    file.write_bytes(b"\x89PNG content")
    content = base64.b64encode(b"\x89PNG content").decode()
    assert f'src="data:image/png;base64,{content}"' in picture(file, 'what "it" shows')
    assert "<figcaption>what &quot;it&quot; shows</figcaption>" in picture(file, 'what "it" shows')
    with pytest.raises(ValueError, match=r"a page shows .png and .svg files"):
        picture(tmp_path / "a.pdf", "no")
