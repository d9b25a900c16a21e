/** Japanese: what an agent's proof asks. */
export default {
  login_title: 'ビデオ通話にログイン',
  login_help: 'ログインは専用のウィンドウで開きます。次のコードが表示されている場合のみ、そこで続行してください。',
  login_code: 'コード {code}',
  login_open: 'LivePersonでログイン',
  enrol_title: 'このブラウザを登録',
  enrol_help: '管理者から受け取ったコードを入力してください。1日以内に1回だけ使えます。',
  enrol_code: 'コード',
  enrol_send: '登録',
  enrol_wrong: 'このコードは無効です。確認するか、新しいコードを依頼してください。',
  link_send: 'お客様にリンクを送る',
  link_text: 'ビデオでお話しするには、こちらのリンクを開いてください。1回限り有効です: {url}',
};
