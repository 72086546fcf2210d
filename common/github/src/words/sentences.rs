//! What this product says of failures: the list by which it is put into Portuguese.

/// An English sentence and the Portuguese one. `{name}` stands for anything, `{+name}` for another sentence or a part of one,
/// `{_}` for what is not said again. The first that fits is taken, so what fits much comes late.
pub(super) const SENTENCES: &[(&str, &str)] = &[
    // Of the work itself: `common/agent`.
    ("the model refused to answer", "o modelo se recusou a responder"),
    ("the model refused: {said}", "o modelo se recusou: “{said}”"),
    ("the model gave {count} replies in a row without calling a tool", "o modelo deu {count} respostas seguidas sem chamar uma ferramenta"),
    (
        "{count} steps in a row held only calls that no tool understands",
        "{count} passos seguidos só tinham chamadas que nenhuma ferramenta entende",
    ),
    (
        "the same call had the same result {count} times in a row: {calls}",
        "a mesma chamada teve o mesmo resultado {count} vezes seguidas: “{calls}”",
    ),
    (
        "the last {count} steps repeat the same two calls in turn, ending with {calls}",
        "os últimos {count} passos alternam as mesmas duas chamadas, terminando com “{calls}”",
    ),
    (
        "an edit of the same file did not apply {count} times, ending with {calls}",
        "uma edição do mesmo arquivo não pôde ser aplicada {count} vezes, terminando com “{calls}”",
    ),
    (
        "{+cause}; the job asked for a mechanic, so it was not handed over: `{command}` gives it to a larger model",
        "{cause}; a tarefa pediu um mechanic, por isso não foi passada adiante: `{command}` a entrega a um modelo maior",
    ),
    (
        "{+cause}; the day's budget of {scope} has no room for a genius: `{command}` gives it to a larger model",
        "{cause}; o orçamento do dia de {scope} não comporta um genius: `{command}` a entrega a um modelo maior",
    ),
    ("the last {count} steps brought nothing new", "os últimos {count} passos não trouxeram nada de novo"),
    (
        "the conversation needs about {needed} tokens, which leaves no room for an answer in the {window} of {model}",
        "a conversa precisa de cerca de {needed} tokens, o que não deixa espaço para uma resposta nos {window} de {model}",
    ),
    ("tool {tool}: {said}", "a ferramenta {tool} falhou: “{said}”"),
    // Of a step and its end: `handlers/step`, `handlers/finalize`, `common/dispatch`.
    ("{+cause}; the next call goes to {model}", "{cause}; a próxima chamada vai para {model}"),
    (
        "every provider that is set up for a {mode} is down, {provider} among them",
        "todos os provedores configurados para um {mode} estão fora do ar, entre eles {provider}",
    ),
    ("interrupted before the model was called", "interrompida antes da chamada ao modelo"),
    ("the tools were interrupted", "as ferramentas foram interrompidas"),
    (
        "the commits {head} and {base} share no history, so there is no change to look at",
        "os commits {head} e {base} não têm história em comum, portanto não há mudança para olhar",
    ),
    ("a review names a pull request or a head", "uma revisão precisa indicar um pull request ou um head"),
    ("there is no pull request #{number} in {repository}", "não há pull request #{number} em {repository}"),
    ("job {job} has not been through triage", "a tarefa {job} não passou pela triagem"),
    (
        "branch {branch} was pushed at {commit} and reads back as {found}",
        "o ramo {branch} foi enviado em {commit} e é lido de volta como {found}",
    ),
    ("the {+what} was created and cannot be read back", "{what} foi criado e não pode ser lido de volta"),
    ("handler panicked: {said}", "um defeito interno interrompeu o trabalho: “{said}”"),
    ("passed its deadline after {millis} ms", "passou do prazo depois de {millis} ms"),
    // Of the queue: `common/store`, some of it by SQL.
    ("its worker was lost {count} times without progress", "o executor se perdeu {count} vezes sem progresso"),
    (
        "it stood still for more than {seconds} s under its lease, in attempt {attempt} without progress",
        "ficou parada por mais de {seconds} s nas mãos de um executor, na tentativa {attempt} sem progresso",
    ),
    ("it stood still for {seconds} s", "ficou parada por {seconds} s"),
    ("the database is unavailable: {said}", "o banco de dados está indisponível: “{said}”"),
    ("the database refused a statement: {said}", "o banco de dados recusou um comando: “{said}”"),
    ("job {job} was asked to stop", "foi pedido que a tarefa {job} parasse"),
    // Of a model's provider: `common/llm`.
    ("{provider} limits our rate: {said}", "{provider} limita a nossa taxa de chamadas: “{said}”"),
    (
        "{provider} is overloaded or broken (HTTP {status}): {said}",
        "{provider} está sobrecarregado ou com defeito (HTTP {status}): “{said}”",
    ),
    (
        "cannot reach {provider} at {url}: {said}; check the network and the base URL",
        "não foi possível alcançar {provider} em {url}: “{said}”; verifique a rede e a URL de base",
    ),
    (
        "the connection to {provider} broke before the reply was complete: {said}",
        "a conexão com {provider} caiu antes de a resposta estar completa: “{said}”",
    ),
    ("the reply of {provider} cannot be used: {said}", "a resposta de {provider} não pode ser usada: “{said}”"),
    (
        "{provider} does not accept our key (HTTP {status}): {said}; check {+needs}",
        "{provider} não aceita a nossa chave (HTTP {status}): “{said}”; verifique {needs}",
    ),
    ("{provider} refused the request: {said}", "{provider} recusou o pedido: “{said}”"),
    ("no reply from {provider} in time", "{provider} não respondeu a tempo"),
    ("the call to {provider} was cancelled", "a chamada a {provider} foi cancelada"),
    ("cannot set up the HTTP client: {said}", "não foi possível preparar o cliente HTTP: “{said}”"),
    (
        "model {model} needs {provider}, which is not configured: set {+needs}",
        "o modelo {model} precisa de {provider}, que não está configurado: defina {needs}",
    ),
    ("no model for {mode}: set {+needs}", "não há modelo para {mode}: defina {needs}"),
    ("no model {model} in the price table; {+advice}", "não há modelo {model} na tabela de preços; {advice}"),
    // Of git: `common/git`.
    ("no repository in {remote}", "não há repositório em {remote}"),
    ("no branch \"{branch}\" in {remote}", "não há ramo \"{branch}\" em {remote}"),
    ("no commit on the default branch; name another branch in {remote}", "não há commit no ramo padrão de {remote}; indique outro ramo"),
    ("no pull request #{number} in {remote}", "não há pull request #{number} em {remote}"),
    ("{remote} has no commits; push a first one", "{remote} não tem commits; envie um primeiro"),
    ("{remote} refuses access: {said}", "{remote} recusa o acesso: “{said}”"),
    ("cannot reach {remote}: {said}", "não foi possível alcançar {remote}: “{said}”"),
    ("branch \"{branch}\" in {remote} is already at {commit}", "o ramo \"{branch}\" em {remote} já está em {commit}"),
    ("{remote} refuses the push to \"{branch}\": {said}", "{remote} recusa o envio para \"{branch}\": “{said}”"),
    ("\"{value}\" is no branch: see git-check-ref-format(1)", "\"{value}\" não é um nome de ramo: veja git-check-ref-format(1)"),
    (
        "\"{value}\" is no remote: it is a path, {forms} or user@host:path",
        "\"{value}\" não é um repositório remoto: é um caminho, {forms} ou user@host:path",
    ),
    (
        "\"{value}\" is no object id: it has 40 or 64 hexadecimal digits in lower case",
        "\"{value}\" não é o id de um commit: ele tem 40 ou 64 dígitos hexadecimais minúsculos",
    ),
    (
        "\"{value}\" is no author: name and address have text, and no line breaks or angle brackets",
        "\"{value}\" não serve como autor: nome e endereço precisam ter texto, sem quebras de linha nem sinais de menor e maior",
    ),
    ("git failed ({+exit}): {said}", "o git falhou ({exit}): “{said}”"),
    (
        "{+what} has more than {most} {+unit}, the limit {setting}: {+advice}",
        "{what} tem mais de {most} {unit}, o limite {setting}: {advice}",
    ),
    ("{+what} has more than {most} bytes", "{what} tem mais de {most} bytes"),
    // Of the forge: this crate.
    ("the forge asks to wait {seconds} s", "o GitHub pede para esperar {seconds} s"),
    (
        "the App is not installed on {repository}, or there is no such repository; {+cause}",
        "o App não está instalado em {repository}, ou esse repositório não existe; {cause}",
    ),
    (
        "the App {app} is installed nowhere: install it on a repository",
        "o App {app} não está instalado em lugar nenhum: instale-o em um repositório",
    ),
    (
        "{+cause}: the owner has to accept the App's permissions, or to give it the repository",
        "{cause}: o dono precisa aceitar as permissões do App ou dar a ele o repositório",
    ),
    (
        "{+cause}: is {app} the App's number, the key one of its own, and the machine's clock right?",
        "{cause}: {app} é mesmo o número do App, a chave é dele e o relógio da máquina está certo?",
    ),
    ("{+cause}: it was renamed or moved to {place}; use its new name", "{cause}: foi renomeado ou movido para {place}; use o novo nome"),
    (
        "{+cause}: a line is perhaps not part of the change; the comments are at {lines}",
        "{cause}: talvez uma linha não faça parte da mudança; os comentários estão em {lines}",
    ),
    ("GitHub answers {request} with {status}: {said}", "o GitHub responde a {request} com {status}: “{said}”"),
    ("GitHub answers {request} with {status}", "o GitHub responde a {request} com {status}"),
    ("GitHub's reply to {request} cannot be read ({place})", "a resposta do GitHub a {request} não pode ser lida ({place})"),
    ("GitHub's reply to {request} is longer than {most} bytes", "a resposta do GitHub a {request} tem mais de {most} bytes"),
    (
        "{name} is not a repository: write it as owner/name, each of letters, digits, {signs} and `.`",
        "{name} não é um repositório: escreva dono/nome, cada um com letras, dígitos, {signs} e `.`",
    ),
    (
        "no repository {name} in {folder}: register it with its remote first",
        "não há repositório {name} em {folder}: registre-o antes com o seu endereço",
    ),
    (
        "{repository} has no remote here: give the job a `remote` of its own",
        "{repository} não tem endereço aqui: dê à tarefa um `remote` próprio",
    ),
    ("a pull request from {head} into itself changes nothing", "um pull request de {head} para ele mesmo não altera nada"),
    ("cancelled", "cancelado"),
    // Of commands: `common/process`.
    (
        "no program \"{program}\" in \"{path}\"; install it, for instance with: apt-get install {package} (macOS: brew install {_})",
        "não há o programa \"{program}\" em \"{path}\"; instale-o, por exemplo com: apt-get install {package} (macOS: brew install {package})",
    ),
    (
        "no program \"{program}\" in \"{path}\"; install \"{_}\" or put its folder on PATH",
        "não há o programa \"{program}\" em \"{path}\"; instale-o ou ponha a pasta dele no PATH",
    ),
    ("no directory {folder} to run \"{program}\" in", "não há a pasta {folder} para executar \"{program}\""),
    ("cannot start \"{program}\": {said}", "não foi possível iniciar \"{program}\": “{said}”"),
    ("lost \"{program}\" while it ran: {said}", "o programa \"{program}\" se perdeu durante a execução: “{said}”"),
    // Of the network: `handlers/step`, `common/process`.
    ("There is no network, not even on this machine: {+cause}.", "Não há rede, nem mesmo dentro desta máquina: {cause}."),
    (
        ".codeteam.toml asks for {network}, which this installation does not allow (CODETEAM_NETWORK)",
        "o .codeteam.toml pede {network}, que esta instalação não permite (CODETEAM_NETWORK)",
    ),
    ("{network} cannot be enforced on this machine: {+cause}", "{network} não pode ser garantido nesta máquina: {cause}"),
    // What fits much.
    (
        "all {count} users of the sandbox (from {first}) are taken by processes of this machine",
        "todos os {count} usuários da sandbox (a partir de {first}) estão ocupados por processos desta máquina",
    ),
    ("cannot {_} {path}: {said}", "um arquivo deste serviço não pôde ser usado ({path}): “{said}”"),
    ("{method} /{path} at {api}: {said}", "não foi possível alcançar {api} com {method} /{path}: “{said}”"),
];

/// What is said within sentences: nothing of it stands alone.
pub(super) const PARTS: &[(&str, &str)] = &[
    ("pull request of {head}", "o pull request de {head}"),
    ("comment on #{number}", "o comentário em #{number}"),
    ("review of #{number}", "o comentário de revisão em #{number}"),
    ("AWS_REGION and AWS credentials", "AWS_REGION e as credenciais da AWS"),
    ("CODETEAM_SCRIPT, a file of replies", "CODETEAM_SCRIPT, um arquivo de respostas"),
    ("the [[provider]] {name} in the file that CODETEAM_MODELS names", "o [[provider]] {name} no arquivo que CODETEAM_MODELS indica"),
    ("it has {names}", "ela tem {names}"),
    ("did you mean {+names}?", "seria {names}?"),
    ("the mirror of {remote}", "o espelho de {remote}"),
    ("the workspace", "a área de trabalho"),
    ("the checkpoint", "o ponto de retomada"),
    ("the change", "a mudança"),
    ("list of changed files", "a lista de arquivos alterados"),
    ("list of files", "a lista de arquivos"),
    ("files to be read", "o conjunto de arquivos a ler"),
    ("files", "arquivos"),
    ("raise it on workers that have the room", "aumente-o em executores que tenham espaço"),
    (
        "take the file out of the repository (Git LFS keeps such files elsewhere), or raise it",
        "tire o arquivo do repositório (o Git LFS guarda esses arquivos em outro lugar) ou aumente-o",
    ),
    ("let .gitignore name what is built or downloaded, or raise it", "faça o .gitignore indicar o que é gerado ou baixado, ou aumente-o"),
    ("exit code {code}: {said}", "código de saída {code}: “{said}”"),
    ("exit code {code}", "código de saída {code}"),
    ("killed by signal {signal}: {said}", "encerrado pelo sinal {signal}: “{said}”"),
    ("killed by signal {signal}", "encerrado pelo sinal {signal}"),
    ("timed out: {said}", "o tempo se esgotou: “{said}”"),
    ("timed out", "o tempo se esgotou"),
    (
        "killed: it used more than {gib} GiB of memory, all its processes together: {said}",
        "encerrado por usar mais de {gib} GiB de memória, com todos os seus processos: “{said}”",
    ),
    (
        "killed: the workspace and its home grew beyond {gib} GiB: {said}",
        "encerrado porque a área de trabalho e a sua pasta pessoal passaram de {gib} GiB: “{said}”",
    ),
    ("killed: the disk was nearly full: {said}", "encerrado porque o disco estava quase cheio: “{said}”"),
    (
        "the kernel does not let us hand out sockets (seccomp notifications with descriptors, Linux 5.14)",
        "o kernel não permite entregar sockets (notificações do seccomp com descritores, Linux 5.14)",
    ),
    ("ports are only held apart by Landlock ABI 4 (Linux 6.7)", "só o Landlock ABI 4 (Linux 6.7) mantém as portas separadas"),
    (
        "{host} is not among the hosts that dependencies are fetched from (CODETEAM_FETCH_HOSTS)",
        "{host} não está entre os servidores de onde se obtêm dependências (CODETEAM_FETCH_HOSTS)",
    ),
    ("{host} is not the port of HTTPS", "{host} não é a porta do HTTPS"),
    ("{host} is at a private address", "{host} fica em um endereço privado"),
    ("{host} has no address", "{host} não tem endereço"),
    ("{host} does not answer", "{host} não responde"),
    ("a request that is too long", "um pedido longo demais"),
    ("only CONNECT host:{port} is served, not {asked}", "só se atende CONNECT host:{port}, e não {asked}"),
    ("commit {commit}", "o commit {commit}"),
    ("{+needs} or {+others}", "{needs} ou {others}"),
];
