// What a phone sends beside text: the panel behind the plus, and the forms of a place and a link.

const $ = (id) => document.getElementById(id);
const PLACE = { latitude: 23.1066, longitude: 113.3245 };

export function prepareSharing(sendFile, share) {
  const forms = { place: $('place-form'), link: $('link-form') };
  const hideForms = () => { for (const form of Object.values(forms)) form.hidden = true; };
  const show = (shown) => {
    $('share-panel').hidden = !shown;
    $('plus').setAttribute('aria-expanded', String(shown));
    hideForms();
    // On a small screen there is room for one of them.
    $('chips').hidden = shown;
    $('chat').scrollTop = $('chat').scrollHeight;
  };
  $('plus').addEventListener('click', () => show($('share-panel').hidden));
  for (const button of document.querySelectorAll('[data-share]')) {
    button.addEventListener('click', () => {
      hideForms();
      const form = forms[button.dataset.share];
      form.hidden = false;
      form.querySelector('input').focus();
      $('chat').scrollTop = $('chat').scrollHeight;
    });
  }
  for (const [id, kind] of [['attach-picture', 'image'], ['attach-voice', 'voice']]) {
    $(id).addEventListener('change', () => {
      const [file] = $(id).files;
      $(id).value = '';
      show(false);
      if (file) sendFile(file, kind);
    });
  }
  forms.place.addEventListener('submit', (event) => {
    event.preventDefault();
    show(false);
    share({ kind: 'place', label: $('place-label').value.trim(), latitude: $('place-latitude').value, longitude: $('place-longitude').value });
  });
  forms.link.addEventListener('submit', (event) => {
    event.preventDefault();
    show(false);
    const typed = $('link-url').value.trim();
    const url = /^[a-z]+:/i.test(typed) ? typed : `https:${'/'.repeat(2)}${typed}`;
    share({ kind: 'link', title: $('link-title').value.trim(), description: '', url });
    forms.link.reset();
  });
  $('place-latitude').value = PLACE.latitude;
  $('place-longitude').value = PLACE.longitude;
  return {
    // The place is an example until somebody writes another.
    speak: (place) => { $('place-label').value = place; },
    // While nothing can be sent there is nothing to choose.
    close: (closed) => {
      $('plus').disabled = closed;
      if (closed && !$('share-panel').hidden) show(false);
    },
  };
}
