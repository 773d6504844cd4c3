// The menu below the chat, as the daemon made it. Texts go into the page as text, never as HTML.

let drawn;

function button(name, pressed) {
  const made = document.createElement('button');
  made.type = 'button';
  made.textContent = name;
  made.dataset.testid = 'app-menu-button';
  made.addEventListener('click', pressed);
  return made;
}

// What an entry does: tells the application, or opens a page.
function choose(entry, click) {
  if (entry.type === 'view') window.open(entry.url, '_blank', 'noopener');
  else if (entry.key) click(entry.key);
}

function place(one, click) {
  const made = document.createElement('div');
  const entries = one.sub_button ?? [];
  if (entries.length === 0) {
    made.append(button(one.name, () => choose(one, click)));
    return made;
  }
  const list = document.createElement('div');
  list.className = 'entries';
  list.hidden = true;
  const opener = button(`≡ ${one.name}`, () => open(list.hidden));
  const open = (shown) => {
    list.hidden = !shown;
    opener.setAttribute('aria-expanded', String(shown));
  };
  open(false);
  list.append(...entries.map((entry) => button(entry.name, () => {
    open(false);
    choose(entry, click);
  })));
  made.append(opener, list);
  return made;
}

// Draws it where it is another than before: a list that somebody opened stays open.
export function drawMenu(room, menu, click) {
  const wanted = JSON.stringify(menu);
  if (wanted === drawn) return;
  drawn = wanted;
  const buttons = menu?.button ?? [];
  room.hidden = buttons.length === 0;
  room.replaceChildren(...buttons.map((one) => place(one, click)));
}
