// OpenAI's own package, as a program uses it. Says `ok` when all of it is as the package promises.
'use strict';

const assert = require('node:assert/strict');
const OpenAI = require('openai');

const { BASE_URL, KEY, POOR_KEY } = process.env;
const PICTURE = 'data:image/png;base64,iVBORw0KGgo=';
const TOOLS = [{ type: 'function', function: { name: 'weather', parameters: { type: 'object', properties: {} } } }];

const client = (apiKey) => new OpenAI({ baseURL: BASE_URL, apiKey, maxRetries: 0 });
const ask = (content, { key = KEY, ...more } = {}) =>
  client(key).chat.completions.create({ model: 'qimate-demo', messages: [{ role: 'user', content }], ...more });

async function fails(kind, status, code, content, more) {
  const error = await ask(content, more).then(() => assert.fail('it should fail'), (error) => error);
  assert.ok(error instanceof kind, String(error));
  assert.deepEqual([error.status, error.code], [status, code]);
  return error;
}

async function responses() {
  const create = (body) => client(KEY).responses.create({ model: 'qimate-demo', ...body });
  const response = await create({ input: 'hi', instructions: 'short' });
  assert.deepEqual([response.output_text, response.status], ['hello there', 'completed']);
  assert.ok(response.usage.input_tokens > 0 && response.usage.output_tokens > 0);
  const stream = client(KEY).responses.stream({ model: 'qimate-demo', input: 'hi' });
  let said = '';
  for await (const event of stream) if (event.type === 'response.output_text.delta') said += event.delta;
  assert.deepEqual([said, (await stream.finalResponse()).output_text], ['hello there', 'hello there']);
  const tools = [{ type: 'function', strict: false, ...TOOLS[0].function }];
  const [call] = (await create({ input: 'tool', tools })).output;
  assert.deepEqual([call.type, call.name, call.arguments], ['function_call', 'weather', '{"city":"Kunming"}']);
  const seen = await create({ input: [{ role: 'user', content: [{ type: 'input_image', image_url: PICTURE }] }] });
  assert.equal(seen.output_text, 'a picture');
  const cut = await (async () => {
    for await (const _ of await create({ input: 'cut', stream: true }));
  })().then(() => assert.fail('a response that breaks was taken for whole'), (error) => error);
  assert.ok(cut instanceof OpenAI.APIError && cut.code === 'upstream_failed', String(cut));
}

async function others() {
  const file = async () => OpenAI.toFile(Buffer.alloc(4000, 0xff), 'a.mp3');
  const text = await client(KEY).audio.transcriptions.create({ model: 'writer', file: await file(), prompt: 'names' });
  assert.equal(text.text, 'what was said');
  const speech = await client(KEY).audio.speech.create({ model: 'speaker', voice: 'alloy', input: 'hi' });
  assert.equal(Buffer.from(await speech.arrayBuffer()).subarray(0, 4).toString(), 'RIFF');
  const picture = await client(KEY).images.generate({ model: 'painter', prompt: 'a cat', n: 1 });
  assert.equal(Buffer.from(picture.data[0].b64_json, 'base64').subarray(1, 4).toString(), 'PNG');
  for (const refused of [
    async () => client(KEY).audio.transcriptions.create({ model: 'whisper-9', file: await file() }),
    () => client(KEY).audio.speech.create({ model: 'tts-9', voice: 'alloy', input: 'hi' }),
    () => client(KEY).images.generate({ model: 'dall-e-9', prompt: 'a cat' }),
  ]) {
    const error = await refused().then(() => assert.fail('a model that is not there made something'), (error) => error);
    assert.ok(error instanceof OpenAI.NotFoundError && error.code === 'model_not_found', String(error));
  }
}

async function main() {
  const answer = await ask('hi');
  assert.equal(answer.choices[0].message.content, 'hello there');
  assert.ok(answer.usage.total_tokens > 0 && answer._request_id.startsWith('req_'));

  let text = '';
  let usage;
  for await (const chunk of await ask('hi', { stream: true, stream_options: { include_usage: true } })) {
    usage = chunk.usage ?? usage;
    text += chunk.choices.map((choice) => choice.delta.content ?? '').join('');
  }
  assert.equal(text, 'hello there');
  assert.ok(usage.total_tokens > 0);

  const whole = await ask('tool', { tools: TOOLS });
  const runner = client(KEY).chat.completions.stream({
    model: 'qimate-demo', messages: [{ role: 'user', content: 'tool' }], tools: TOOLS,
  });
  for (const completion of [whole, await runner.finalChatCompletion()]) {
    const call = completion.choices[0].message.tool_calls[0];
    assert.deepEqual([call.function.name, call.function.arguments], ['weather', '{"city":"Kunming"}']);
  }

  const seen = await ask([{ type: 'text', text: 'see' }, { type: 'image_url', image_url: { url: PICTURE } }]);
  assert.equal(seen.choices[0].message.content, 'a picture');

  const models = [];
  for await (const model of client(KEY).models.list()) models.push(model.id);
  assert.deepEqual(models, ['qimate-demo', 'painter', 'speaker', 'writer']);
  const vectors = await client(KEY).embeddings.create({ model: 'qimate-demo', input: ['a', 'b'], encoding_format: 'float' });
  assert.deepEqual(vectors.data.map((vector) => vector.embedding), [[0.5, -0.25], [0.5, -0.25]]);

  await responses();
  await others();

  await fails(OpenAI.AuthenticationError, 401, 'invalid_api_key', 'hi', { key: 'sk-wrong' });
  await fails(OpenAI.NotFoundError, 404, 'model_not_found', 'hi', { model: 'gpt-9' });
  await fails(OpenAI.BadRequestError, 400, 'context_length_exceeded', 'too long');
  await fails(OpenAI.InternalServerError, 502, 'upstream_failed', 'broken');
  await ask('hi', { key: POOR_KEY });
  const limited = await fails(OpenAI.RateLimitError, 429, 'rate_limit_exceeded', 'hi', { key: POOR_KEY });
  assert.ok(limited.message.includes('1 of 1 used'), limited.message);
  const cut = await (async () => {
    for await (const _ of await ask('cut', { stream: true }));
  })().then(() => assert.fail('a stream that breaks was taken for whole'), (error) => error);
  assert.ok(cut instanceof OpenAI.APIError, String(cut));
  console.log('ok');
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
