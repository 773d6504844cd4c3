// WeCom's console beside the phone: what an administrator copies from it and enters into it. Shown only where the
// set-up is practised. What is typed into a form is kept while the page is drawn anew.

const WORDS = {
  zh: {
    title: '管理后台',
    note: '企业微信管理员看到的样子。照 qimate init 的提示填写。',
    app: '应用',
    corpId: '企业ID',
    secret: 'Secret',
    show: '查看',
    hide: '隐藏',
    receive: '接收消息 · 设置API接收',
    receiveNote: '保存时发来一个加密的验证请求，必须在 1 秒内正确应答',
    pasteHint: '粘贴 qimate init 显示的值',
    save: '保存',
    saving: '正在验证…',
    verified: '已启用',
    notYet: '未设置',
    savedNow: '保存成功：回调地址通过了验证。',
    why: '为什么',
    whyText: '真正的后台也只说这一句。原因在您这边：看 qimate init（或企伴日志）里的 ✗ 一行，或运行 qimate doctor。',
    trusted: '企业可信IP',
    trustedNote: '多个用分号隔开。这里立即生效；真正的后台约需 1 分钟。',
    trustedFirst: '先设置好接收消息，才能填写',
    trustedHint: '例如 127.0.0.1',
    visible: '可见范围',
    visibleNote: '能看到并使用应用的成员账号，用分号隔开',
    confirm: '确定',
    done: '已保存',
    noCallback: '应用还没有设置接收消息',
    noCallbackNote: '先在管理后台设置“接收消息”，员工才能给应用发消息。',
    notVisible: '不在可见范围内',
    notVisibleNote: '这位成员看不到应用：在管理后台把账号加进“可见范围”。',
  },
  en: {
    title: 'Admin console 管理后台',
    note: 'As an administrator of WeCom sees it. Fill it in as qimate init says.',
    app: 'Application',
    corpId: 'Corp id 企业ID',
    secret: 'Secret',
    show: 'Show',
    hide: 'Hide',
    receive: 'Receive messages 接收消息',
    receiveNote: 'Saving sends an encrypted request that must be answered rightly within 1 second',
    pasteHint: 'paste what qimate init shows',
    save: 'Save',
    saving: 'Verifying…',
    verified: 'enabled',
    notYet: 'not set',
    savedNow: 'Saved: the callback URL passed its verification.',
    why: 'Why',
    whyText: "It says: the request to the callback URL did not pass. The real console says no more either. The reason is on your side: look for ✗ in qimate init (or in Qimate's log), or run qimate doctor.",
    trusted: 'Trusted IPs 企业可信IP',
    trustedNote: 'Separate several with semicolons. Works at once here; at WeCom it takes about a minute.',
    trustedFirst: 'can be set once messages are received',
    trustedHint: 'such as 127.0.0.1',
    visible: 'Visible range 可见范围',
    visibleNote: 'Userids of the members who see the application and may use it, separated by semicolons',
    confirm: 'OK',
    done: 'Saved',
    noCallback: 'the application does not receive messages yet',
    noCallbackNote: 'Set up “Receive messages” in the console first; then employees can write to the application.',
    notVisible: 'not in the visible range',
    notVisibleNote: 'This member does not see the application: add the userid to the visible range in the console.',
  },
};

const NOT_PASSED = 'openapi回调地址请求不通过';

let parts = null;
let shown = null;
let language = 'zh';
let secret = null;
let outcome = null;
let send = null;

const word = (key) => WORDS[language][key];

function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

function field(id, type = 'text') {
  return element('input', { id: `console-${id}`, 'data-testid': `console-${id}`, type, autocomplete: 'off', spellcheck: 'false', autocapitalize: 'off' });
}

// A form with one list in it and its button.
function listForm(id) {
  const input = field(id);
  const button = element('button', { type: 'submit', class: 'primary', 'data-testid': `console-save-${id}` });
  const head = element('label', { for: input.id });
  const state = element('span', { class: 'console-state' });
  const note = element('small', { id: `console-${id}-note` });
  const said = element('p', { class: 'console-said', role: 'status', 'data-testid': `console-said-${id}` });
  input.setAttribute('aria-describedby', note.id);
  const form = element('form', { class: 'console-form' },
    element('div', { class: 'console-legend' }, head, state),
    element('div', { class: 'console-line' }, input, button), note, said);
  const path = id === 'trusted' ? 'console/trusted-ips' : 'console/visible';
  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    try {
      await send(path, { list: input.value });
      delete input.dataset.touched;
      said.textContent = word('done');
      said.dataset.good = 'yes';
      draw();
    } catch (error) {
      said.textContent = error.message;
      said.dataset.good = 'no';
    }
  });
  input.addEventListener('input', () => { input.dataset.touched = 'yes'; said.textContent = ''; });
  return { form, head, state, input, button, note, said };
}

function row(name, ...value) {
  return element('div', {}, name, element('dd', {}, ...value));
}

function build() {
  const text = () => element('span');
  const code = (id) => element('code', { 'data-testid': `console-${id}` });
  parts = {
    title: element('h2'), note: element('p'),
    corpName: element('dt'), corp: code('corp-id'), agent: code('agent-id'),
    secretValue: code('secret'),
    secretButton: element('button', { type: 'button', class: 'primary small', 'data-testid': 'console-show-secret' }),
    receive: element('h3'), state: element('span', { class: 'console-state', 'data-testid': 'console-callback-state' }),
    receiveNote: element('small'), url: field('url', 'url'), token: field('token'), key: field('key'),
    save: element('button', { type: 'submit', class: 'primary console-save', 'data-testid': 'console-save' }),
    said: element('p', { class: 'console-said', role: 'status', 'data-testid': 'console-said' }),
    why: element('details', { class: 'console-why' }), whyTitle: element('summary', { 'data-testid': 'console-why' }), whyText: element('p'),
    urlName: element('label', { for: 'console-url' }),
    trusted: listForm('trusted'), visible: listForm('visible'), text,
  };
  parts.why.append(parts.whyTitle, parts.whyText);
  parts.why.hidden = true;
  const named = (label, input) => element('div', { class: 'console-field' }, label, input);
  const name = (id, label) => element('label', { for: `console-${id}` }, label);
  const callback = element('form', { class: 'console-form', novalidate: '' },
    element('div', { class: 'console-legend' }, parts.receive, parts.state),
    parts.receiveNote,
    named(parts.urlName, parts.url), named(name('token', 'Token'), parts.token), named(name('key', 'EncodingAESKey'), parts.key),
    element('div', { class: 'console-line' }, parts.save, parts.said), parts.why);
  callback.addEventListener('submit', saveCallback);
  parts.secretButton.addEventListener('click', toggleSecret);
  const lists = element('div', { class: 'console-lists' }, parts.trusted.form, parts.visible.form);
  document.getElementById('console').replaceChildren(
    element('div', { class: 'card-head' }, parts.title, parts.note),
    element('dl', { class: 'console-facts' },
      row(parts.corpName, parts.corp),
      row(element('dt', {}, 'AgentId'), parts.agent),
      row(element('dt', {}, 'Secret'), parts.secretValue, parts.secretButton)),
    element('div', { class: 'console-forms' }, callback, lists));
}

async function toggleSecret() {
  if (secret) {
    secret = null;
  } else {
    try {
      ({ secret } = await send('console/secret', {}));
    } catch (error) {
      outcome = { good: false, text: error.message };
    }
  }
  draw();
}

async function saveCallback(event) {
  event.preventDefault();
  parts.save.disabled = true;
  outcome = { good: null };
  draw();
  try {
    await send('console/callback', { url: parts.url.value, token: parts.token.value, encoding_aes_key: parts.key.value });
    outcome = { good: true };
  } catch (error) {
    outcome = { good: false, text: error.message };
  }
  parts.save.disabled = false;
  draw();
}

function drawList({ head, state, input, button, note, said }, words, values, disabled) {
  head.textContent = words.title;
  note.textContent = words.note;
  state.textContent = words.state ?? '';
  button.textContent = word('confirm');
  input.placeholder = words.hint ?? '';
  input.disabled = disabled;
  button.disabled = disabled;
  if (said.textContent && said.dataset.good === 'yes') said.textContent = word('done');
  if (!input.dataset.touched) input.value = values.join('; ');
}

function draw() {
  if (!shown) return;
  parts.title.textContent = word('title');
  parts.note.textContent = word('note');
  parts.corpName.textContent = word('corpId');
  parts.corp.textContent = shown.corp_id;
  parts.agent.textContent = shown.agent_id;
  parts.secretValue.textContent = secret ?? '••••••••••••';
  parts.secretButton.textContent = word(secret ? 'hide' : 'show');
  parts.receive.textContent = word('receive');
  parts.receiveNote.textContent = word('receiveNote');
  parts.urlName.textContent = 'URL';
  for (const input of [parts.url, parts.token, parts.key]) input.placeholder = word('pasteHint');
  parts.save.textContent = word('save');
  parts.state.textContent = word(shown.callback_url ? 'verified' : 'notYet');
  parts.state.dataset.good = shown.callback_url ? 'yes' : 'no';
  const said = { null: word('saving'), true: word('savedNow'), false: outcome?.text };
  parts.said.textContent = outcome ? said[outcome.good] : '';
  parts.said.dataset.good = outcome?.good === false ? 'no' : 'yes';
  parts.why.hidden = outcome?.text !== NOT_PASSED;
  parts.whyTitle.textContent = word('why');
  parts.whyText.textContent = word('whyText');
  const hasCallback = Boolean(shown.callback_url);
  drawList(parts.trusted, {
    title: word('trusted'), note: word('trustedNote'), hint: word('trustedHint'), state: hasCallback ? '' : word('trustedFirst'),
  }, shown.trusted_ips, !hasCallback);
  drawList(parts.visible, { title: word('visible'), note: word('visibleNote') }, shown.visible, false);
}

// Shows the console as it stands; `call` posts to the page's API. Nothing where there is none.
export function drawConsole(console, inLanguage, call) {
  document.body.classList.toggle('set-up', Boolean(console));
  // When everything is set up, there is something to make trouble with.
  document.body.classList.toggle('set-up-done', Boolean(console?.callback_url && console.trusted_ips.length > 0));
  if (!console) return;
  shown = console;
  language = inLanguage;
  send = call;
  if (!parts) build();
  draw();
}

// Why `member` cannot write, in a few words and with what to do; null where it can.
export function whyClosed(console, inLanguage, member) {
  if (!console) return null;
  const words = WORDS[inLanguage];
  if (!console.callback_url) return { short: words.noCallback, note: words.noCallbackNote };
  const sees = console.visible.some((one) => one.toLowerCase() === member.toLowerCase());
  return sees ? null : { short: words.notVisible, note: words.notVisibleNote };
}
