// What a message shows: words, a picture, a voice message, a file, or a card that can be pressed. Texts go into the page
// as text, never as HTML; files come from /api/media by their id.

function element(tag, className, text) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

const size = (bytes) => (bytes < 1024 ? `${bytes} B` : bytes < 1024 * 1024 ? `${(bytes / 1024).toFixed(1)} KB` : `${(bytes / 1024 / 1024).toFixed(1)} MB`);
const address = (file) => `/api/media/${encodeURIComponent(file.media_id)}`;

function picture(file) {
  const link = element('a', 'shown-picture');
  link.href = address(file);
  link.target = '_blank';
  link.rel = 'noopener';
  const image = element('img');
  image.src = address(file);
  image.alt = file.name;
  link.append(image);
  return link;
}

function voice(file, word) {
  const player = element('audio', 'shown-voice');
  player.controls = true;
  player.preload = 'metadata';
  player.src = address(file);
  player.setAttribute('aria-label', word('voice'));
  return player;
}

function attached(file) {
  const link = element('a', 'shown-file');
  link.href = address(file);
  link.download = file.name;
  const about = element('span');
  about.append(element('b', '', file.name), element('small', '', size(file.bytes)));
  const mark = element('i', '', file.name.split('.').at(-1).slice(0, 4).toUpperCase());
  mark.setAttribute('aria-hidden', 'true');
  link.append(about, mark);
  return link;
}

const texts = (parent, card, named) => {
  for (const [className, text] of named(card)) {
    if (text) parent.append(element('p', className, text));
  }
};

// The questions of a card, and what is chosen of them when it is pressed.
function questions(parent, card) {
  const asked = [];
  const choice = (type, name, option, checked) => {
    const label = element('label', 'card-option');
    const input = element('input');
    Object.assign(input, { type, name, value: option.id, checked: checked && !card.done, disabled: Boolean(card.done) });
    input.dataset.testid = 'card-choice';
    label.append(input, option.text);
    parent.append(label);
    return input;
  };
  const { checkbox, select_list: selects, button_selection: selection } = card;
  if (checkbox) {
    const type = checkbox.mode === 1 ? 'checkbox' : 'radio';
    const inputs = checkbox.option_list.map((option) => choice(type, card.task_id, option, Boolean(option.is_checked)));
    asked.push(() => [checkbox.question_key, inputs.filter((input) => input.checked).map((input) => input.value)]);
  }
  for (const one of [...(selects ?? []), ...(selection ? [selection] : [])]) {
    const field = element('select');
    field.append(...one.option_list.map((option) => new Option(option.text, option.id, false, option.id === one.selected_id)));
    field.disabled = Boolean(card.done);
    const label = element('label', 'card-option', `${one.title ?? ''} `);
    label.append(field);
    parent.append(label);
    asked.push(() => [one.question_key, [field.value]]);
  }
  return () => asked.map((ask) => ask());
}

function cardOf(card, press) {
  const made = element('div', 'card');
  made.dataset.task = card.task_id ?? '';
  texts(made, card, ({ source, main_title: title, emphasis_content: big, quote_area: quote, sub_title_text: sub }) => [
    ['card-source', source?.desc],
    ['card-title', title?.title],
    ['card-note', title?.desc],
    ['card-big', big?.title],
    ['card-note', big?.desc],
    ['card-note', quote?.quote_text],
    ['card-words', sub],
  ]);
  for (const { keyname, value } of card.horizontal_content_list ?? []) made.append(element('p', 'card-words', `${keyname}　${value ?? ''}`));
  for (const { title, desc } of card.vertical_content_list ?? []) made.append(element('p', 'card-words', `${title}　${desc ?? ''}`));
  const chosen = questions(made, card);
  const buttons = [...(card.button_list ?? []), ...(card.submit_button ? [card.submit_button] : [])];
  const row = element('div', 'card-buttons');
  for (const { text, key, style } of buttons) {
    const button = element('button', style === 1 || !style ? 'main' : '', text);
    button.type = 'button';
    button.dataset.testid = 'card-button';
    button.addEventListener('click', () => press(card.task_id, key, chosen()));
    row.append(button);
  }
  if (buttons.length > 0) made.append(row);
  return made;
}

// The card as it is after the application changed it.
function changed(card, update) {
  if (update.card) return { ...update.card, task_id: card.task_id };
  return { ...card, button_list: [], submit_button: undefined, done: true, sub_title_text: update.button.replace_name };
}

// A place or a link that a member shares: what it is, and its name.
function shared(line, word) {
  const made = element('span', 'shared');
  made.append(element('small', '', word(line.msgtype === 'link' ? 'link' : 'place')), element('b', '', line.content));
  return made;
}

export function bubbleOf(line, updates, word, press) {
  if (line.file) {
    if (line.msgtype === 'image') return picture(line.file);
    return line.msgtype === 'voice' ? voice(line.file, word) : attached(line.file);
  }
  if (line.msgtype === 'template_card') {
    const card = JSON.parse(line.content);
    const mine = updates.map((one) => JSON.parse(one.content)).filter((one) => one.task_id === card.task_id);
    return cardOf(mine.reduce(changed, card), press);
  }
  if (line.msgtype === 'location' || line.msgtype === 'link') return shared(line, word);
  return element('span', 'words', line.content);
}
