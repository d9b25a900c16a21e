/** Japanese: what only the guest page says. */
export default {
  join_title: '招待されています',
  join_help: 'お名前を入力し、映りを確認して参加してください。',
  your_name: 'お名前',
  joining: '参加しています…',
  join_no_code: 'このリンクは不完全です',
  join_no_code_help: '受け取ったとおりのリンクを開いてください。',
  over_link: 'もう一度参加するには、新しいリンクを依頼してください。',
  over_page: 'このページは閉じてかまいません。',
};
