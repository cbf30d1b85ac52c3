"""Objects as streams: whole or not at all, whatever happens to the connection."""

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError, ResponseStreamingError

from segment_tasks import objects
from segment_tasks.failures import AccessDenied

LOST = ResponseStreamingError(error="reset")


class Breaking:
    """A body that breaks after some bytes."""

    def __init__(self, content, after):
        self._content = content[:after]

    def read(self, size=None):
        if not self._content:
            raise LOST
        chunk, self._content = self._content[:3], self._content[3:]
        return chunk


def breaking(cloud, monkeypatch, *breaks):
    """Let answers break after some bytes each, then be whole."""
    real = cloud.s3.get_object
    rest = list(breaks)

    def get_object(**request):
        answer = real(**request)
        if rest:
            answer["Body"] = Breaking(answer["Body"].read(), rest.pop(0))
        return answer

    monkeypatch.setattr(cloud.s3, "get_object", get_object)


def test_reading_goes_on_where_the_connection_broke(cloud, monkeypatch):
    cloud.put("x", "0123456789abcdef")
    breaking(cloud, monkeypatch, 4, 0, 0, 5, 0)
    reader = objects.ObjectReader("inputs", "x")
    assert b"".join(reader.chunks()) == b"0123456789abcdef"
    assert b"".join(reader.chunks()) == b"0123456789abcdef"


@pytest.mark.parametrize("breaks", [[], [0], [0, 4, 0]])
def test_what_is_held_is_read_whether_the_connection_broke_or_not(
    cloud, monkeypatch, breaks
):
    cloud.put("x", "0123456789abcdef")
    breaking(cloud, monkeypatch, *breaks)
    reader = objects.ObjectReader("inputs", "x")
    reader.hold()
    if not breaks:
        cloud.s3.delete_object(Bucket="inputs", Key="x")
    assert b"".join(reader.chunks()) == b"0123456789abcdef"


def test_reading_gives_up_where_nothing_comes_any_more(cloud, monkeypatch):
    cloud.put("x", "0123456789abcdef")
    breaking(cloud, monkeypatch, 4, *[0] * 6)
    with pytest.raises(ResponseStreamingError):
        list(objects.ObjectReader("inputs", "x").chunks())


def test_reading_never_goes_on_with_another_version(cloud, monkeypatch):
    cloud.put("x", "0123456789abcdef")
    breaking(cloud, monkeypatch, 4)
    chunks = objects.ObjectReader("inputs", "x").chunks()
    next(chunks)
    cloud.put("x", "something else...")
    with pytest.raises(FileNotFoundError, match="s3://inputs/x"):
        list(chunks)


def test_an_empty_object_is_read(cloud):
    cloud.put("x", "")
    assert list(objects.ObjectReader("inputs", "x").chunks()) == []


def test_an_object_that_is_not_there_is_told(cloud):
    with pytest.raises(FileNotFoundError, match="s3://inputs/x"):
        objects.ObjectReader("inputs", "x")
    assert objects.read_json("inputs", "x") is None


@pytest.mark.parametrize("size", [10, 12 * 1024 * 1024])
def test_an_error_leaves_no_object_behind(cloud, size):
    def write():
        with objects.ObjectWriter("outputs", "x", "text/plain") as writer:
            writer.write(b"x" * size)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write()
    assert cloud.keys("", "outputs") == []
    assert "Uploads" not in cloud.s3.list_multipart_uploads(Bucket="outputs")


def test_an_upload_that_cannot_be_completed_is_dropped(cloud, monkeypatch):
    def fail(**_):
        raise ReadTimeoutError(endpoint_url="https://s3")

    monkeypatch.setattr(cloud.s3, "complete_multipart_upload", fail)
    writer = objects.ObjectWriter("outputs", "x", "text/plain")
    writer.write(b"x" * 9 * 1024 * 1024)
    with pytest.raises(ReadTimeoutError), writer:
        pass
    assert "Uploads" not in cloud.s3.list_multipart_uploads(Bucket="outputs")


def test_a_large_object_ends_exactly_at_a_piece(cloud):
    with objects.ObjectWriter("outputs", "x", "text/plain") as writer:
        writer.write(b"x" * 16 * 1024 * 1024)
    head = cloud.s3.head_object(Bucket="outputs", Key="x")
    assert head["ContentLength"] == 16 * 1024 * 1024
    assert head["ContentType"] == "text/plain"


def test_all_keys_are_listed_however_many(cloud, monkeypatch):
    for each in range(5):
        cloud.put(f"x/{each}", "")
    real = cloud.s3.list_objects_v2
    monkeypatch.setattr(
        cloud.s3, "list_objects_v2", lambda **request: real(**{**request, "MaxKeys": 2})
    )
    assert list(objects.keys("inputs", "x/")) == [f"x/{each}" for each in range(5)]
    assert list(objects.keys("inputs", "x/", at_most=1)) == ["x/0", "x/1"]


def test_half_characters_are_written_as_escapes(cloud):
    objects.write_json("outputs", "x", {"id": "\ud800"})
    assert cloud.json("x") == {"id": "\ud800"}


def test_a_refused_listing_names_the_action_and_the_bucket(cloud, monkeypatch):
    def refuse(**_):
        raise ClientError({"Error": {"Code": "AccessDenied"}}, "ListObjectsV2")

    monkeypatch.setattr(cloud.s3, "list_objects_v2", refuse)
    with pytest.raises(AccessDenied, match="Allow s3:ListBucket on s3://inputs"):
        list(objects.keys("inputs", ""))
