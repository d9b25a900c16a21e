/** English: what only the guest page says. */
export default {
  join_title: 'You are invited',
  join_help: 'Somebody asked you to join a video session. Say who you are, check that you look fine, and join.',
  your_name: 'Your name',
  joining: 'Joining…',
  join_no_code: 'This link is not complete',
  join_no_code_help: 'Please open the link exactly as you received it.',
  over_link: 'To come in again, ask for a new link.',
  over_page: 'You can close this page.',
};
