/** Portuguese: what only the guest page says. */
export default {
  join_title: 'Você tem um convite',
  join_help: 'Alguém convidou você para uma sessão de vídeo. Diga quem é, confira sua imagem e entre.',
  your_name: 'Seu nome',
  joining: 'Entrando…',
  join_no_code: 'Este link está incompleto',
  join_no_code_help: 'Abra o link exatamente como o recebeu.',
  over_link: 'Para entrar de novo, peça um novo link.',
  over_page: 'Você pode fechar esta página.',
};
