#compdef queuectl
# Completion of queuectl for zsh.
#
# queuectl itself is asked what fits, in a line: what it is, a tab, the word, a tab, and
# what the word means.
_queuectl_completion() {
    local line kind word meaning
    local -a answer words_only described shown joined
    (( $+commands[queuectl] )) || return 1
    line="${(j: :)words[1,CURRENT-1]} $PREFIX"
    answer=("${(@f)$(_QUEUECTL_COMPLETE=zsh_complete _QUEUECTL_LINE=$line \
        queuectl 2>/dev/null)}")
    # The value of --option=value is completed by itself.
    [[ $PREFIX == --*=* ]] && compset -P '*='
    for line in $answer; do
        IFS=$'\t' read -r kind word meaning <<< "$line"
        case $kind in
            plain)
                if [[ -n $meaning ]]; then
                    described+=("$word")
                    shown+=("$word  -- $meaning")
                else
                    words_only+=("$word")
                fi
                ;;
            joined) joined+=("$word") ;;
            dir) _path_files -/ ;;
            file) _path_files -f ;;
            command)
                _command_names -e
                _path_files -f
                ;;
        esac
    done
    (( $#described )) && compadd -V queuectl -l -d shown -a described
    (( $#words_only )) && compadd -V queuectl -a words_only
    (( $#joined )) && compadd -V queuectl -S '' -a joined
    (( compstate[nmatches] ))
}

_queuectl_register() {
    (( $+functions[compdef] )) || { autoload -Uz compinit && compinit -i -D }
    compdef _queuectl_completion queuectl
    add-zsh-hook -d precmd _queuectl_register 2>/dev/null
    return 0
}

if [[ $zsh_eval_context[-1] == loadautofunc ]]; then
    _queuectl_completion "$@"
elif (( $+functions[compdef] )) || [[ ! -o interactive ]]; then
    _queuectl_register
else
    # compinit may be further down in .zshrc: it would forget what is registered now.
    autoload -Uz add-zsh-hook
    add-zsh-hook precmd _queuectl_register
fi
