// The phone and the journal. What is shown comes from /api/state once and from /api/events afterwards; everything is
// numbered, so what comes twice is shown once. Texts go into the page as text, never as HTML.

import { bubbleOf } from './bubbles.js';
import { drawConsole, whyClosed } from './console.js';
import { drawMenu } from './menu.js';
import { prepareSharing } from './share.js';
import { WORDS } from './words.js';

const PEOPLE = [
  { id: 'ZhangWei', zh: '张伟', en: 'Zhang Wei' },
  { id: 'LiNa', zh: '李娜', en: 'Li Na' },
  { id: 'WangFang', zh: '王芳', en: 'Wang Fang' },
];
const KEPT_STEPS = 500;
const TYPING_AT_MOST = 90_000;
const QUIET_AFTER_ANSWER = 900;

const $ = (id) => document.getElementById(id);
const chat = $('chat');
const steps = $('steps');

let language = remembered('language') ?? (navigator.language.toLowerCase().startsWith('zh') ? 'zh' : 'en');
let people = [...PEOPLE, ...(JSON.parse(remembered('people') ?? '[]'))];
let me = people[0].id;
let status = null;
let lines = [];
let lastLine = 0;
let lastStep = 0;
let writing = 0;
const unread = new Set();
const undelivered = new Set();
const waiting = new Map();

const word = (key) => WORDS[language][key];

// What is remembered is a comfort: a browser that forbids it must not stop the page.
function remembered(key) {
  try {
    return localStorage.getItem(`qimate-demo-${key}`);
  } catch {
    return null;
  }
}

function remember(key, value) {
  try {
    localStorage.setItem(`qimate-demo-${key}`, value);
  } catch { /* see above */ }
}

function element(tag, className, text) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

async function call(path, body) {
  const answer = await fetch(`/api/${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  const value = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error(value.error ?? `HTTP ${answer.status}`);
  return value;
}

let toastTimer;
function toast(text) {
  $('toast').textContent = text;
  $('toast').hidden = false;
  clearTimeout(toastTimer);
  toastTimer = setTimeout(() => { $('toast').hidden = true; }, 5000);
}

// ---- Words ----

function speak() {
  document.documentElement.lang = language === 'zh' ? 'zh-CN' : 'en';
  document.title = word('title');
  for (const node of document.querySelectorAll('[data-word]')) node.textContent = word(node.dataset.word);
  for (const node of document.querySelectorAll('[data-word-label]')) node.setAttribute('aria-label', word(node.dataset.wordLabel));
  for (const node of document.querySelectorAll('[data-word-placeholder]')) node.placeholder = word(node.dataset.wordPlaceholder);
  for (const button of document.querySelectorAll('[data-language]')) {
    button.setAttribute('aria-pressed', String(button.dataset.language === language));
  }
  $('chips').replaceChildren(...word('chips').map((text) => {
    const chip = element('button', 'chip', text);
    chip.type = 'button';
    chip.dataset.testid = 'chip';
    chip.addEventListener('click', () => say(text));
    return chip;
  }));
  for (const step of steps.children) {
    if (step.titles) nameStep(step);
  }
  if (!steps.firstElementChild?.titles) drawNothingYet();
  sharing.speak(word('aPlace'));
  drawPeople();
  drawChat();
  drawStatus();
}

// ---- People ----

function nameOf(id) {
  const person = people.find((one) => one.id.toLowerCase() === id.toLowerCase());
  return person ? person[language] : id;
}

// Chinese names are told apart by the given name, others by their initials.
function initials(name) {
  return /[\u4e00-\u9fff]/.test(name) ? name.slice(-1) : name.split(/\s+/).map((part) => part[0]).join('').slice(0, 2).toUpperCase();
}

function avatar(id) {
  const index = people.findIndex((one) => one.id.toLowerCase() === id.toLowerCase());
  const made = element('span', `avatar person-${(index < 0 ? 0 : index) % 6}`, initials(nameOf(id)));
  made.setAttribute('aria-hidden', 'true');
  return made;
}

function drawPeople() {
  const buttons = people.map((person) => {
    const button = element('button', 'person');
    button.type = 'button';
    button.dataset.testid = `person-${person.id}`;
    button.setAttribute('aria-pressed', String(person.id === me));
    button.append(avatar(person.id), element('span', '', person[language]));
    if (unread.has(person.id.toLowerCase())) button.append(element('span', 'unread', ''));
    button.addEventListener('click', () => become(person.id));
    return button;
  });
  const add = element('button', 'person add', '+');
  add.type = 'button';
  add.dataset.testid = 'person-add';
  add.setAttribute('aria-label', word('addPerson'));
  add.setAttribute('aria-expanded', String(!$('new-person').hidden));
  add.addEventListener('click', () => {
    $('new-person').hidden = !$('new-person').hidden;
    add.setAttribute('aria-expanded', String(!$('new-person').hidden));
    if (!$('new-person').hidden) $('new-name').focus();
  });
  $('people').replaceChildren(...buttons, add);
}

function become(id) {
  me = id;
  unread.delete(id.toLowerCase());
  drawPeople();
  drawChat();
  fitField();
  // Opening the chat is an event in WeCom too.
  if (!whyClosed(status?.console, language, id)) call('enter', { member: id }).catch(() => {});
  if (matchMedia('(hover: hover)').matches) $('text').focus();
}

$('new-person').addEventListener('submit', (event) => {
  event.preventDefault();
  const name = $('new-name').value.replaceAll('|', '').trim();
  if (!name) return;
  if (!people.some((person) => person.id.toLowerCase() === name.toLowerCase())) {
    people.push({ id: name, zh: name, en: name });
    remember('people', JSON.stringify(people.slice(PEOPLE.length)));
  }
  $('new-name').value = '';
  $('new-person').hidden = true;
  become(people.find((person) => person.id.toLowerCase() === name.toLowerCase()).id);
});

// ---- Chat ----

const isMine = (line) => line.member.toLowerCase() === me.toLowerCase();
const time = (at) => new Date(at).toLocaleTimeString(language === 'zh' ? 'zh-CN' : 'en-GB', { hour: '2-digit', minute: '2-digit' });

function drawChat() {
  chat.replaceChildren();
  const mine = lines.filter((line) => isMine(line) && line.msgtype !== 'card_update');
  if (mine.length === 0) chat.append(element('p', 'empty', whyClosed(status?.console, language, me)?.note ?? word('empty')));
  let before = null;
  for (const line of mine) {
    appendLine(line, before, false);
    before = line;
  }
  drawTyping();
  chat.scrollTop = chat.scrollHeight;
}

function appendLine(line, before, arriving) {
  const typing = chat.querySelector('.typing');
  if (!before || line.at - before.at > 180_000) chat.insertBefore(element('time', 'moment', time(line.at)), typing);
  const row = element('div', `row ${line.from_member ? 'mine' : 'theirs'}${arriving ? ' arriving' : ''}`);
  row.dataset.testid = line.from_member ? 'message-mine' : 'message-theirs';
  row.dataset.seq = line.seq;
  const bubble = element('div', 'bubble');
  bubble.append(element('span', 'hidden', `${line.from_member ? nameOf(line.member) : word('app')}: `));
  const updates = lines.filter((one) => isMine(one) && one.msgtype === 'card_update');
  bubble.append(bubbleOf(line, updates, word, press));
  if (line.msgtype === 'markdown') bubble.append(element('span', 'tag', line.msgtype));
  row.append(line.from_member ? avatar(line.member) : appAvatar(), bubble);
  if (undelivered.has(line.seq)) markUndelivered(row);
  const same = before && before.from_member === line.from_member && line.at - before.at <= 180_000;
  if (same) row.classList.add('same');
  chat.insertBefore(row, typing);
}

function appAvatar() {
  const made = element('span', 'avatar app');
  made.setAttribute('aria-hidden', 'true');
  made.append(document.querySelector('.logo').cloneNode(true));
  return made;
}

function markUndelivered(row) {
  if (row.querySelector('.undelivered')) return;
  const mark = element('span', 'undelivered', '!');
  mark.title = word('notTaken');
  mark.setAttribute('aria-label', word('notTaken'));
  row.append(mark);
}

function takeLine(line) {
  if (line.seq <= lastLine) return;
  lastLine = line.seq;
  const before = lines.findLast((one) => one.member.toLowerCase() === line.member.toLowerCase() && one.msgtype !== 'card_update');
  lines.push(line);
  if (line.msgtype === 'card_update') {
    if (isMine(line)) drawChat();
    return;
  }
  if (!line.from_member) answered(line.member);
  if (!isMine(line)) {
    if (!line.from_member) {
      unread.add(line.member.toLowerCase());
      drawPeople();
    }
    return;
  }
  chat.querySelector('.empty')?.remove();
  const atEnd = chat.scrollHeight - chat.scrollTop - chat.clientHeight < 120;
  appendLine(line, before, true);
  drawTyping();
  if (atEnd || line.from_member) chat.scrollTo({ top: chat.scrollHeight, behavior: 'smooth' });
}

// A picture has its height only when it is there.
chat.addEventListener('load', () => {
  if (chat.scrollHeight - chat.scrollTop - chat.clientHeight < 420) chat.scrollTop = chat.scrollHeight;
}, true);

// Whether somebody is still owed an answer is a guess: WeCom does not say. It ends with a message after which no
// model writes any more.
function owe(member) {
  const key = member.toLowerCase();
  clearTimeout(waiting.get(key));
  waiting.set(key, setTimeout(() => release(key), TYPING_AT_MOST));
  drawTyping();
}

function answered(member) {
  const key = member.toLowerCase();
  if (!waiting.has(key)) return;
  clearTimeout(waiting.get(key));
  const look = () => {
    if (writing > 0) waiting.set(key, setTimeout(look, QUIET_AFTER_ANSWER));
    else release(key);
  };
  waiting.set(key, setTimeout(look, QUIET_AFTER_ANSWER));
}

function release(key) {
  clearTimeout(waiting.get(key));
  waiting.delete(key);
  drawTyping();
}

function drawTyping() {
  const typing = waiting.has(me.toLowerCase());
  const closed = whyClosed(status?.console, language, me);
  $('chat-note').textContent = closed?.short ?? word(typing ? 'typing' : 'note');
  const shown = chat.querySelector('.typing');
  if (!typing) shown?.remove();
  if (typing && !shown) {
    const row = element('div', 'row theirs typing');
    const bubble = element('div', 'bubble');
    const dots = element('span', 'dots');
    dots.append(element('i'), element('i'), element('i'));
    bubble.append(dots);
    row.setAttribute('aria-hidden', 'true');
    row.append(appAvatar(), bubble);
    chat.append(row);
    chat.scrollTo({ top: chat.scrollHeight, behavior: 'smooth' });
  }
}

async function press(task, key, chosen) {
  try {
    const receipt = await call('press', { member: me, task_id: task, key, chosen });
    if (!receipt.accepted) toast(word('notTaken'));
  } catch (error) {
    toast(word('failed') + error.message);
  }
}

async function click(key) {
  const member = me;
  owe(member);
  try {
    const receipt = await call('click', { member, key });
    if (receipt.accepted) return;
    toast(word('notTaken'));
  } catch (error) {
    toast(word('failed') + error.message);
  }
  release(member.toLowerCase());
}

async function say(text) {
  const member = me;
  owe(member);
  try {
    const receipt = await call('say', { member, text });
    if (!receipt.accepted) {
      release(member.toLowerCase());
      const line = lines.findLast((one) => one.from_member && one.member === member && one.content === text);
      if (line) undelivered.add(line.seq);
      const row = line && chat.querySelector(`[data-seq="${line.seq}"]`);
      if (row) markUndelivered(row);
      toast(word('notTaken'));
    }
  } catch (error) {
    release(member.toLowerCase());
    toast(word('failed') + error.message);
  }
}

// Sends what is no text by `post`, which gives WeCom's receipt.
async function sendBy(post) {
  const member = me;
  owe(member);
  try {
    if ((await post(member)).accepted) return;
    toast(word('notTaken'));
  } catch (error) {
    toast(word('failed') + error.message);
  }
  release(member.toLowerCase());
}

// A picture or a recording (.amr) goes as it is; the daemon fetches it from WeCom.
const sendFile = (file, kind) => sendBy(async (member) => {
  const answer = await fetch(`/api/send?${new URLSearchParams({ member, kind })}`, { method: 'POST', body: file });
  const receipt = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error(receipt.error ?? `HTTP ${answer.status}`);
  return receipt;
});
const sharing = prepareSharing(sendFile, (thing) => sendBy((member) => call('share', { member, ...thing })));

const field = $('text');
function fitField() {
  field.style.height = 'auto';
  field.style.height = `${Math.min(field.scrollHeight, 96)}px`;
  field.disabled = whyClosed(status?.console, language, me) !== null;
  $('send').disabled = field.disabled || field.value.trim() === '';
  sharing.close(field.disabled);
  for (const chip of $('chips').children) chip.disabled = field.disabled;
  for (const button of $('app-menu').querySelectorAll('button')) button.disabled = field.disabled;
}
field.addEventListener('input', fitField);
field.addEventListener('keydown', (event) => {
  // Enter chooses a candidate while an input method composes.
  if (event.key === 'Enter' && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    $('composer').requestSubmit();
  }
});
$('composer').addEventListener('submit', (event) => {
  event.preventDefault();
  const text = field.value.trim();
  if (!text) return;
  field.value = '';
  fitField();
  say(text);
});

// ---- Journal ----

const HOPS = {
  callback: ['phone-wecom', 'forth'],
  envelope: ['wecom-qimate', 'forth'],
  acknowledged: ['wecom-qimate', 'back'],
  access_token: ['wecom-qimate', 'back'],
  send: ['wecom-qimate', 'back', 'phone-wecom'],
  model_request: ['qimate-model', 'forth'],
  model_stream: ['qimate-model', 'back'],
};

function clockTime(at) {
  const when = new Date(at);
  const two = (number) => String(number).padStart(2, '0');
  return `${two(when.getHours())}:${two(when.getMinutes())}:${two(when.getSeconds())}.${String(when.getMilliseconds()).padStart(3, '0')}`;
}

// Only for reading: one element a line.
const readable = (detail) => (detail.startsWith('<xml>') ? detail.replace(/(<xml>|<\/\w+>)(?=<)/g, '$1\n') : detail);

function nameStep(item) {
  const { step } = item.titles;
  item.titles.title.textContent = language === 'zh' ? step.title_zh : step.title_en;
  item.titles.kind.textContent = word('kinds')[step.kind] ?? step.kind;
}

function drawStep(step) {
  const item = element('li', `step kind-${step.kind}${step.failed ? ' failed' : ''}`);
  item.dataset.testid = 'step';
  item.dataset.kind = step.kind;
  const kind = element('span', 'kind');
  const title = element('span', 'step-title');
  const head = element(step.detail ? 'summary' : 'div', 'step-head');
  head.append(element('time', '', clockTime(step.at)), kind, title);
  if (step.duration_ms !== null) head.append(element('span', 'took', `${step.duration_ms} ms`));
  if (step.detail) {
    const details = element('details');
    details.append(head, element('pre', '', readable(step.detail)));
    item.append(details);
  } else {
    item.append(head);
  }
  item.titles = { step, title, kind };
  nameStep(item);
  return item;
}

function drawNothingYet() {
  steps.replaceChildren(element('li', 'nothing', word('nothingYet')));
}

let following = true;
function takeStep(step, live) {
  if (step.seq <= lastStep) return;
  lastStep = step.seq;
  steps.querySelector('.nothing')?.remove();
  const item = drawStep(step);
  if (live) item.classList.add('arriving');
  steps.append(item);
  while (steps.childElementCount > KEPT_STEPS) steps.firstElementChild.remove();
  if (following) steps.scrollTop = steps.scrollHeight;
  if (live) light(step);
}

steps.addEventListener('scroll', () => {
  following = steps.scrollHeight - steps.scrollTop - steps.clientHeight < 40;
  $('to-end').hidden = following;
});
$('to-end').addEventListener('click', () => { steps.scrollTop = steps.scrollHeight; });
$('show-log').addEventListener('change', (event) => {
  steps.classList.toggle('with-log', event.target.checked);
  remember('log', event.target.checked ? 'yes' : 'no');
  if (following) steps.scrollTop = steps.scrollHeight;
});

function light(step) {
  const [hop, direction, then] = HOPS[step.kind] ?? [];
  if (!hop) return;
  const run = (name, delay) => {
    const line = document.querySelector(`[data-hop="${name}"]`);
    const dot = element('span', `packet ${direction}${step.failed ? ' failed' : ''}`);
    dot.style.animationDelay = `${delay}ms`;
    dot.addEventListener('animationend', () => dot.remove());
    line.append(dot);
  };
  run(hop, 0);
  if (then && !step.failed) run(then, 450);
}

// ---- Status ----

function drawStatus() {
  if (!status) return;
  drawConsole(status.console, language, call);
  drawMenu($('app-menu'), status.menu, click);
  drawTyping();
  fitField();
  const empty = chat.querySelector('.empty');
  if (empty) empty.textContent = whyClosed(status.console, language, me)?.note ?? word('empty');
  const { daemon, model, trouble } = status;
  for (const input of document.querySelectorAll('[data-trouble]')) {
    input.checked = trouble[input.dataset.trouble];
    input.disabled = !model.demo && input.dataset.trouble.includes('model');
  }
  const state = daemon?.state ?? 'absent';
  $('lamp').dataset.state = state;
  document.querySelector('[data-stop="qimate"]').classList.toggle('down', state === 'stopped');
  $('process-state').textContent = word(state);
  const notes = [];
  if (daemon?.pid) notes.push(word('pid')(daemon.pid));
  if (state === 'stopped') notes.push(word('survives'));
  if (daemon && daemon.starts > 1) notes.push(word('restarts')(daemon.starts - 1));
  notes.push(word('modelNamed')(model.name));
  $('process-note').textContent = notes.join(' · ');
  $('kill').disabled = state !== 'running';
  $('restart').disabled = state === 'starting' || state === 'absent';
  $('restart').textContent = word(state === 'stopped' ? 'start' : 'restart');
}

function takeStatus(news) {
  status = news;
  writing = news.model.writing;
  drawStatus();
}

for (const input of document.querySelectorAll('[data-trouble]')) {
  input.addEventListener('change', () => {
    call('trouble', { name: input.dataset.trouble, on: input.checked }).then(takeStatus).catch((error) => {
      toast(word('failed') + error.message);
      drawStatus();
    });
  });
}
$('expire').addEventListener('click', () => {
  call('trouble', { name: 'expire_access_token', on: true }).catch((error) => toast(word('failed') + error.message));
});
const tellDaemon = (action) => call('daemon', { action }).then(takeStatus).catch((error) => toast(word('failed') + error.message));
$('kill').addEventListener('click', () => tellDaemon('kill'));
$('restart').addEventListener('click', () => tellDaemon('restart'));
$('reset').addEventListener('click', async () => {
  await call('reset', {}).catch((error) => toast(word('failed') + error.message));
  lines = [];
  drawNothingYet();
  drawChat();
});
$('language').addEventListener('click', (event) => {
  const chosen = event.target.dataset.language;
  if (!chosen) return;
  language = chosen;
  remember('language', chosen);
  speak();
});

// ---- Start ----

function tick() {
  $('phone-time').textContent = new Date().toLocaleTimeString('en-GB', { hour: 'numeric', minute: '2-digit' });
}

async function start() {
  $('show-log').checked = remembered('log') === 'yes';
  steps.classList.toggle('with-log', $('show-log').checked);
  tick();
  setInterval(tick, 5000);
  fitField();
  speak();
  const state = await (await fetch('/api/state')).json();
  lines = state.lines;
  lastLine = lines.at(-1)?.seq ?? 0;
  for (const step of state.steps) takeStep(step, false);
  takeStatus(state.status);
  drawChat();
  steps.scrollTop = steps.scrollHeight;

  const source = new EventSource(`/api/events?line=${lastLine}&step=${lastStep}`);
  source.addEventListener('message', (event) => takeLine(JSON.parse(event.data)));
  source.addEventListener('step', (event) => takeStep(JSON.parse(event.data), true));
  source.addEventListener('status', (event) => takeStatus(JSON.parse(event.data)));
  source.addEventListener('open', () => { $('link-state').hidden = true; });
  source.addEventListener('error', () => { $('link-state').hidden = false; });
  document.documentElement.dataset.ready = 'yes';
}

start().catch((error) => toast(word('failed') + error.message));
