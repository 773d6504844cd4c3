"""OpenAI's own package, as a program uses it. Says `ok` when all of it is as the package promises."""

import base64
import os

import openai

BASE, KEY, POOR = os.environ["BASE_URL"], os.environ["KEY"], os.environ["POOR_KEY"]
PICTURE = "data:image/png;base64,iVBORw0KGgo="
TOOLS = [{"type": "function", "function": {"name": "weather", "parameters": {"type": "object", "properties": {}}}}]


def client(key):
    return openai.OpenAI(base_url=BASE, api_key=key, max_retries=0)


def ask(content, **more):
    key = more.pop("key", KEY)
    model = more.pop("model", "qimate-demo")
    return client(key).chat.completions.create(model=model, messages=[{"role": "user", "content": content}], **more)


def fails(kind, status, code, **more):
    try:
        ask(more.pop("content", "hi"), **more)
    except kind as error:
        assert (error.status_code, error.code) == (status, code), (error.status_code, error.code)
        assert error.request_id.startswith("req_"), error.request_id
        return error
    raise AssertionError(f"{kind} was expected")


answer = ask("hi")
assert answer.choices[0].message.content == "hello there", answer
assert answer.usage.total_tokens > 0

text, usage = "", None
for chunk in ask("hi", stream=True, stream_options={"include_usage": True}):
    usage = chunk.usage or usage
    text += "".join(choice.delta.content or "" for choice in chunk.choices)
assert (text, usage.total_tokens > 0) == ("hello there", True), (text, usage)
assert all(chunk.usage is None for chunk in ask("hi", stream=True))

call = ask("tool", tools=TOOLS).choices[0].message.tool_calls[0]
assert (call.function.name, call.function.arguments) == ("weather", '{"city":"Kunming"}'), call
with client(KEY).chat.completions.stream(
    model="qimate-demo", messages=[{"role": "user", "content": "tool"}], tools=TOOLS
) as stream:
    call = stream.get_final_completion().choices[0].message.tool_calls[0]
assert (call.function.name, call.function.arguments) == ("weather", '{"city":"Kunming"}'), call

seen = ask([{"type": "text", "text": "see"}, {"type": "image_url", "image_url": {"url": PICTURE}}])
assert seen.choices[0].message.content == "a picture", seen

assert [model.id for model in client(KEY).models.list()] == ["qimate-demo", "painter", "speaker", "writer"]
assert client(KEY).models.retrieve("qimate-demo").id == "qimate-demo"
vectors = client(KEY).embeddings.create(model="qimate-demo", input=["a", "b"])
assert [vector.embedding for vector in vectors.data] == [[0.5, -0.25], [0.5, -0.25]], vectors

response = client(KEY).responses.create(model="qimate-demo", input="hi", instructions="short")
assert (response.output_text, response.status) == ("hello there", "completed"), response
assert response.usage.input_tokens > 0 and response.usage.output_tokens > 0, response.usage
with client(KEY).responses.stream(model="qimate-demo", input="hi") as stream:
    said = "".join(event.delta for event in stream if event.type == "response.output_text.delta")
    response = stream.get_final_response()
assert (said, response.output_text) == ("hello there", "hello there"), (said, response)
call = client(KEY).responses.create(model="qimate-demo", input="tool", tools=[{"type": "function", **TOOLS[0]["function"], "strict": False}]).output[0]
assert (call.type, call.name, call.arguments) == ("function_call", "weather", '{"city":"Kunming"}'), call
seen = client(KEY).responses.create(
    model="qimate-demo", input=[{"role": "user", "content": [{"type": "input_image", "image_url": PICTURE}]}]
)
assert seen.output_text == "a picture", seen
try:
    list(client(KEY).responses.create(model="qimate-demo", input="cut", stream=True))
    raise AssertionError("a response that breaks was taken for whole")
except openai.APIError as error:
    assert error.code == "upstream_failed", error
try:
    client(KEY).responses.create(model="gpt-9", input="hi")
    raise AssertionError("a model that is not there answered")
except openai.NotFoundError as error:
    assert error.code == "model_not_found", error

sound = ("a.mp3", b"\xff" * 4000)
text = client(KEY).audio.transcriptions.create(model="writer", file=sound, prompt="names")
assert text.text == "what was said", text
with client(KEY).audio.speech.with_streaming_response.create(model="speaker", voice="alloy", input="hi") as speech:
    assert b"".join(speech.iter_bytes()).startswith(b"RIFF")
picture = client(KEY).images.generate(model="painter", prompt="a cat", n=1)
assert base64.b64decode(picture.data[0].b64_json).startswith(b"\x89PNG"), picture
for refused in (
    lambda: client(KEY).audio.transcriptions.create(model="whisper-9", file=sound),
    lambda: client(KEY).audio.speech.create(model="tts-9", voice="alloy", input="hi"),
    lambda: client(KEY).images.generate(model="dall-e-9", prompt="a cat"),
):
    try:
        refused()
        raise AssertionError("a model that is not there made something")
    except openai.NotFoundError as error:
        assert error.code == "model_not_found", error

fails(openai.AuthenticationError, 401, "invalid_api_key", key="sk-wrong")
fails(openai.NotFoundError, 404, "model_not_found", model="gpt-9")
fails(openai.BadRequestError, 400, "invalid_request", max_tokens=-1)
fails(openai.BadRequestError, 400, "context_length_exceeded", content="too long")
fails(openai.InternalServerError, 502, "upstream_failed", content="broken")
ask("hi", key=POOR)
error = fails(openai.RateLimitError, 429, "rate_limit_exceeded", key=POOR)
assert "1 of 1 used" in error.message and int(error.response.headers["retry-after"]) > 0, error.message
try:
    list(ask("cut", stream=True))
    raise AssertionError("a stream that breaks was taken for whole")
except openai.APIError as error:
    assert error.code == "upstream_failed", error
print("ok")
